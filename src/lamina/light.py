"""Stand-ins for names of typing, functools and collections, on the way of every command.

Importing typing takes as long as starting Python, and functools with collections a third of that. Type checkers see the
real names; at run time there is only what classes need to be made.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping as Mapping
    from functools import cached_property as cached_property
    from typing import Any as Any
    from typing import Generic as Generic
    from typing import NamedTuple as NamedTuple
    from typing import Protocol as Protocol
    from typing import TypeVar as TypeVar
    from typing import overload as overload
else:
    from _collections_abc import Mapping as Mapping  # what collections.abc hands on; os has imported it
    from operator import itemgetter

    Any = Protocol = object

    class Generic:
        """A base that takes the parameters of a type and forgets them."""

        def __class_getitem__(cls, parameters):
            return cls

    def TypeVar(name, **bounds):
        """Return something to write between brackets."""
        return name

    def overload(function):
        """Return the function, which the last one of its name replaces."""
        return function

    class cached_property:
        """A property whose function is called once for each object, which keeps the value in its `__dict__`."""

        def __init__(self, function):
            self._function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, owner, name):
            self._name = name

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            value = instance.__dict__[self._name] = self._function(instance)
            return value

    class _TupleMaker(type):
        """Makes a tuple with names of a class body that declares fields, as `typing.NamedTuple` does."""

        def __new__(maker, name, bases, body):
            if not bases:
                return super().__new__(maker, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            body["_field_defaults"] = {field: body[field] for field in fields if field in body}
            body |= {field: property(itemgetter(position)) for position, field in enumerate(fields)}
            methods = {key: value for key, value in vars(NamedTuple).items() if key in _METHODS}
            body = {**methods, **body, "_fields": fields, "__match_args__": fields, "__slots__": ()}
            return type(name, (tuple,), body)

    _METHODS = ("__new__", "__repr__", "__getnewargs__", "_replace", "_asdict", "_make")

    class NamedTuple(metaclass=_TupleMaker):
        def __new__(cls, *values, **named):
            for field in cls._fields[len(values) :]:
                if field in named:
                    values += (named.pop(field),)
                elif field in cls._field_defaults:
                    values += (cls._field_defaults[field],)
                else:
                    raise TypeError(f"{cls.__name__} lacks the value of {field}")
            if named or len(values) > len(cls._fields):
                raise TypeError(f"{cls.__name__} has the fields {', '.join(cls._fields)}, and no others")
            return tuple.__new__(cls, values)

        def __repr__(self):
            pairs = zip(self._fields, self, strict=True)
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in pairs)})"

        def __getnewargs__(self):
            return tuple(self)

        def _replace(self, **changes):
            return type(self)(**{**self._asdict(), **changes})

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        @classmethod
        def _make(cls, values):
            return cls(*values)
