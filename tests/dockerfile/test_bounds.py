"""Dockerfiles and ignore files written against the engine: every one is read, or refused, in no time and no space."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.dockerfile.checks.check import check
from lamina.dockerfile.checks.scope import Surroundings
from lamina.dockerfile.dockerfile import parse
from lamina.dockerfile.expand import Lexer
from lamina.dockerfile.ignore import IgnoreMatcher, parse_ignore
from lamina.dockerfile.pathpattern import compile_path
from lamina.dockerfile.position import Problem
from lamina.dockerfile.shellpattern import without_prefix, without_suffix
from lamina.dockerfile.syntax import find_marks

pytestmark = pytest.mark.timeout(20)  # each of these took minutes, or all the memory, before it was bounded

LONG = "a" * 200_000


def _refused(word: str, **values: str) -> str:
    with pytest.raises(Problem) as refused:
        Lexer().expand(word, values)
    return refused.value.message


@pytest.mark.parametrize(
    "word", ["$A" * 6, "${A//a/$A}", "${A//a/0123456789}" * 2, "${A//a*/x}", "${X:-" * 5000 + "}" * 5000]
)
def test_words_do_not_grow_without_bound(word: str) -> None:
    assert _refused(word, A=LONG)


def test_values_that_double_stop_at_the_bound() -> None:
    value = "x" * 64
    while len(value) < 1 << 20:
        value = Lexer().expand("$A$A", {"A": value})
    assert "larger than" in _refused("$A$A", A=value)


def test_patterns_with_many_stars_are_matched_at_once() -> None:
    stars = "*a" * 20 + "b"
    for trim in (without_prefix, without_suffix):
        assert trim(LONG, stars, longest=True) == trim(LONG, stars, longest=False) == LONG
    assert Lexer().expand("${A//" + stars + "/x}", {"A": LONG[:4000]}) == LONG[:4000]
    for pattern in (stars, "**/" * 20 + "b", "**/a*" * 12 + "b", "a**" * 12 + "b"):
        assert not IgnoreMatcher(parse_ignore(pattern)).ignores("a" * 250 + "/a" * 200).ignored


@pytest.mark.parametrize("text", ["# syntax=x" + " " * 300_000 + "x\nFROM scratch", "FROM scratch\nRUN " + LONG])
def test_long_lines_are_read_at_once(text: str) -> None:
    assert parse(text)


def test_long_marks_are_none() -> None:
    assert find_marks("cat " + "9" * 10_000 + "<<EOF") == find_marks("<<'" + " " * 100_000 + "<'") == ()


def _plain(pattern: str, words: dict[str, str]) -> Callable[[str], bool]:
    expression = re.compile("".join(words.get(part, part) for part in re.findall(r"\*\*/|\*\*|.", pattern)) + r"\Z")
    return lambda path: expression.match(path) is not None


@given(st.text("ab*?/", max_size=9), st.text("ab/", max_size=9))
def test_bounded_matching_means_the_same_as_backtracking(pattern: str, text: str) -> None:
    deep = "(?:.*/)?"
    expected = _plain(pattern, {"*": "[^/]*", "?": "[^/]", "**/": deep, "**": deep})
    if not pattern.endswith(("**", "**/")):  # those take everything below, whatever its depth
        assert compile_path(pattern)(text) is expected(text)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=9), st.booleans())
def test_trimming_takes_what_backtracking_takes(pattern: str, value: str, longest: bool) -> None:
    tail = {True: ".*", False: ".*?"}[longest]
    match = re.match(pattern.replace("?", ".").replace("*", tail), value)
    assert without_prefix(value, pattern, longest=longest) == (value[match.end() :] if match else value)


def test_very_many_instructions_are_read_and_checked() -> None:
    for text in ("CMD x\n" * 50_000, "".join(f"ENV k{number}=v\n" for number in range(15_000))):
        assert check(parse(f"FROM scratch\n{text}"), Surroundings()).mistake is None


def test_stages_on_each_other_do_not_multiply_what_they_know() -> None:
    stages = "".join(f"FROM s{number} AS s{number + 1}\nENV k{number}=v\n" for number in range(2_500))
    tracemalloc.start()
    try:
        checked = check(parse(f"FROM scratch AS s0\n{stages}"), Surroundings())
        assert tracemalloc.get_traced_memory()[0] < 100 << 20
    finally:
        tracemalloc.stop()
    assert len(checked.stages) == 2_501


@pytest.mark.parametrize("lines", ["ENV k=$big\n", "ARG k=$big\n", "FROM scratch\nARG big\n"])
def test_values_that_are_large_together_are_refused(lines: str) -> None:
    text = f"ARG big={'x' * 500_000}\nFROM scratch\nARG big\n{lines * 20}"
    assert "are larger than" in str(check(parse(text), Surroundings()).mistake)
