"""Lists in requests: a bare string is a sequence of strings too, and never what was meant."""

from __future__ import annotations

from functools import cache
from typing import get_args, get_origin, get_type_hints

import msgspec

from lamina.errors import InvalidInput


def check_lists(struct: msgspec.Struct) -> None:
    """Make tuples of lists in a struct of requests. Raise InvalidInput, with the field, for a bare string."""
    for name in _list_fields(type(struct)):
        value = getattr(struct, name)
        if isinstance(value, str | bytes):
            raise InvalidInput(
                f"{name} is a list of texts, and {value!r} is one text", advice=f"Write ({value!r},)", field=name
            )
        if isinstance(value, list):
            msgspec.structs.force_setattr(struct, name, tuple(value))


@cache
def _list_fields(type: type[msgspec.Struct]) -> tuple[str, ...]:
    hints = get_type_hints(type)
    return tuple(name for name in type.__struct_fields__ if _is_list(hints[name]))


def _is_list(hint: object) -> bool:
    return get_origin(hint) is tuple or any(get_origin(option) is tuple for option in get_args(hint))
