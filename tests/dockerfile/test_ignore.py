"""`.dockerignore` and the wildcards of COPY."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.dockerfile.ignore import IgnoreMatcher, clean, parse_ignore
from lamina.errors import InvalidInput


def ignored(patterns: str, path: str) -> bool:
    return IgnoreMatcher(parse_ignore(patterns)).ignores(path).ignored


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        ("a", "a", True),
        ("a", "a/b/c", True),
        ("a", "b/a", False),
        ("/a/", "a/b", True),
        ("./a//b/../c", "a/c", True),
        ("*.md", "x.md", True),
        ("*.md", "d/x.md", False),
        ("*/*.md", "d/x.md", True),
        ("**/*.md", "x.md", True),
        ("**/*.md", "a/b/x.md", True),
        ("a/**", "a", False),
        ("a/**", "a/b", True),
        ("**", "a/b", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("**foo", "dir/xfoo", True),
        ("**/foo", "dir/xfoo", False),
        ("?.txt", "a.txt", True),
        ("?.txt", "ab.txt", False),
        ("[a-c].txt", "b.txt", True),
        ("[^a-c].txt", "b.txt", False),
        (r"\*.txt", "*.txt", True),
        (r"\*.txt", "a.txt", False),
        ("a.b", "axb", False),
        ("*\n!keep", "keep", False),
        ("*\n!keep", "keep/x", False),
        ("a\n!a/b\na/b/c", "a/b/c", True),
        ("a\n!a/b\na/b/c", "a/b/d", False),
        ("# comment\n\n  b  ", "b", True),
        ("#b", "#b", False),
        ("\ufeffa", "a", True),
        ("!a\na", "a", True),
    ],
)
def test_rules(patterns: str, path: str, expected: bool) -> None:
    assert ignored(patterns, path) is expected


def test_the_verdict_names_the_deciding_line() -> None:
    verdict = IgnoreMatcher(parse_ignore("# x\n*\n!keep\n")).ignores("keep")
    assert verdict.pattern is not None
    assert (verdict.pattern.line, str(verdict.pattern)) == (3, "!keep")


@pytest.mark.parametrize("pattern", ["[", "a\n!", "[]a]", "[-]", "x\\"])
def test_malformed_lines_are_named(pattern: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_ignore(pattern)
    assert caught.value.facts["line"] == pattern.count("\n") + 1


def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(InvalidInput, match="syntax error"):
        ignored("[z-a]", "m")


@given(st.text(alphabet="ab*?[]^-!/\\#. ", max_size=12), st.text(alphabet="ab/", min_size=1, max_size=6))
def test_any_pattern_matches_or_is_refused(pattern: str, path: str) -> None:
    with suppress(InvalidInput):
        ignored(pattern, clean(path).lstrip("/") or "a")


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4))
def test_a_directory_takes_everything_under_it(names: list[str]) -> None:
    path = "/".join(names)
    assert ignored(path, f"{path}/below")
