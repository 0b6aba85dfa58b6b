"""Go's path.Match: cases of Go's own, and the same meaning as a plain translation that backtracks."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.formats.matching import compile_match, has_wildcards, joined_by_stars


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a*", "abc", True),
        ("a*", "ab/c", False),
        ("*/c", "b/c", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[!a]", "!", True),
        ("[^a]", "/", False),
        ("[a-]", "", None),
        (r"[\]a]", "]", True),
        ("[z-a]", "m", False),
    ],
)
def test_go_match(pattern: str, path: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(InvalidInput, match="syntax error in pattern"):
            compile_match(pattern)
    else:
        assert bool(compile_match(pattern).match(path)) is expected


def test_wildcards_are_seen_unless_escaped() -> None:
    assert has_wildcards("a*")
    assert not has_wildcards(r"a\*")


@given(st.text("ab*?/", max_size=9), st.text("ab/", max_size=9))
def test_it_means_the_same_as_backtracking(pattern: str, text: str) -> None:
    words = {"*": "[^/]*", "?": "[^/]"}
    plain = re.compile("".join(words.get(char, char) for char in pattern))
    assert (compile_match(pattern).match(text) is not None) is (plain.fullmatch(text) is not None)


@given(st.text(max_size=12))
def test_an_escaped_text_matches_itself_alone(text: str) -> None:
    escaped = re.sub(r"[*?\[\]\\]", lambda match: "\\" + match[0], text)
    assert not has_wildcards(escaped)
    assert compile_match(escaped).match(text)
    assert not compile_match(escaped).match(f"{text}x")


@given(st.text("ab*?[]^-\\/", max_size=10))
def test_a_pattern_is_good_or_refused(pattern: str) -> None:
    with suppress(InvalidInput):
        compile_match(pattern).match("ab/")


@given(st.lists(st.text("ab", max_size=2), min_size=1, max_size=5), st.text("ab", max_size=9), st.booleans())
def test_stars_take_what_backtracking_takes(parts: list[str], text: str, shortest: bool) -> None:
    *head, last = parts
    star = ".*?" if shortest else ".*"
    plain = ".*?".join(head) + (star if head else "") + last
    found, expected = (re.match(e, text) for e in (joined_by_stars(parts, ".", shortest=shortest), plain))
    assert (found and found.end()) == (expected and expected.end())


def test_many_stars_are_matched_at_once() -> None:
    assert compile_match("*a" * 20 + "b").match("a" * 250) is None
