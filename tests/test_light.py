"""The stand-ins of `lamina.light` do what the names of typing and functools do."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from lamina.light import NamedTuple, cached_property


class Point(NamedTuple):
    """A place."""

    x: int
    y: int = 7

    @property
    def total(self) -> int:
        """Return the sum."""
        return self.x + self.y


def test_a_tuple_with_names() -> None:
    point = Point(1)
    assert point == (1, 7) == Point(y=7, x=1)
    assert (point.x, point.y, point.total) == (1, 7, 8)
    assert hash(point) == hash((1, 7))
    assert repr(point) == "Point(x=1, y=7)"
    assert Point._fields == ("x", "y")
    assert (Point.__doc__, Point.__name__, Point.__module__) == ("A place.", "Point", __name__)
    assert point._replace(y=2) == (1, 2)
    assert point._asdict() == {"x": 1, "y": 7}
    match point:
        case Point(x, y):
            assert (x, y) == (1, 7)
    assert type(pickle.loads(pickle.dumps(point))) is Point
    assert type(copy.deepcopy(point)) is Point
    assert not hasattr(point, "__dict__")


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 2}), ((1,), {"x": 2})])
def test_a_tuple_refuses_other_fields(values: tuple[int, ...], named: dict[str, int]) -> None:
    make: Any = Point
    with pytest.raises(TypeError, match="Point"):
        make(*values, **named)


def test_a_cached_property_is_asked_once() -> None:
    calls: list[int] = []

    class Owner:
        @cached_property
        def value(self) -> int:
            """Return a number."""
            calls.append(1)
            return 5

    owner = Owner()
    assert (owner.value, owner.value, calls) == (5, 5, [1])
    assert vars(owner) == {"value": 5}
    assert Owner.value.__doc__ == "Return a number."
