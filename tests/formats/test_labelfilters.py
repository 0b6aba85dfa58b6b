"""Filters by label, told apart from a plain reading of the rule: everything asked for, not everything unwanted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lamina.formats.matching import has_label, labels_match

words = st.text("ab=", max_size=3)
labels = st.dictionaries(st.text("ab", min_size=1, max_size=2), words, max_size=3)


@given(labels, st.lists(words, max_size=3), st.lists(words, max_size=3))
def test_all_that_is_asked_for_and_not_all_that_is_unwanted(
    labels: dict[str, str], asked: list[str], unwanted: list[str]
) -> None:
    spellings = {*labels, *(f"{key}={value}" for key, value in labels.items())}
    expected = set(asked) <= spellings and (not unwanted or not set(unwanted) <= spellings)
    assert labels_match(labels, {"label": asked, "label!": unwanted}) == expected


@given(labels)
def test_no_filters_ask_for_nothing(labels: dict[str, str]) -> None:
    assert labels_match(labels, {})
    assert labels_match(labels, {"label": [], "label!": [], "name": ["x"]})


def test_a_value_may_hold_equals_signs_and_be_empty() -> None:
    assert has_label({"a": "b=c"}, "a=b=c")
    assert has_label({"a": ""}, "a=")
    assert not has_label({"a": "b"}, "a=")
    assert not has_label({"a": "b"}, "")
