"""The parser without `json` reads what `json` reads, and refuses what it refuses in the same words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.formats import quick_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def test_this_python_has_the_parser() -> None:
    assert quick_json._SCAN is not None


@given(VALUES, st.booleans(), st.sampled_from(["", " ", "\r\n\t"]))
def test_values_are_read(value: Any, ascii_only: bool, space: str) -> None:
    text = space + json.dumps(value, ensure_ascii=ascii_only) + space
    assert quick_json.loads(text) == quick_json.loads(text.encode("utf-8", "surrogatepass")) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"1 2",
        b"\xff",
        b'{"a": 1}}',
        b"nul",
        b'"\n"',
        b"\xef\xbb\xbf{}",
        b"\x0c1",
        b"+1",
        b"01",
    ],
)
def test_what_is_no_json_is_refused_as_json_refuses_it(data: bytes) -> None:
    with pytest.raises(ValueError) as expected:
        json.loads(data.decode()) if data.startswith(b"\xef") else json.loads(data)
    with pytest.raises(ValueError) as error:
        quick_json.loads(data)
    assert (type(error.value), str(error.value)) == (type(expected.value), str(expected.value))


@given(VALUES)
def test_values_are_written(value: Any) -> None:
    assert quick_json.dumps(value) == json.dumps(value, ensure_ascii=False)


def test_tuples_are_lists_and_objects_are_refused() -> None:
    assert quick_json.dumps({"a": ("b", 1)}) == '{"a": ["b", 1]}'
    with pytest.raises(TypeError):
        quick_json.dumps(object())


def test_numbers_that_are_none_and_deep_nesting() -> None:
    for text in ("NaN", "Infinity", "-Infinity"):
        assert repr(quick_json.loads(text)) == repr(json.loads(text))
    with pytest.raises(RecursionError):
        quick_json.loads("[" * 100_000)
