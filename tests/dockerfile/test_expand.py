"""Word expansion, form by form."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.dockerfile.expand import Lexer
from lamina.dockerfile.position import Problem

ENV = {"A": "value", "EMPTY": "", "FILE": "dir/archive.tar.gz", "STAR": "a*b*c", "TWO": "80 443"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$A", "value"),
        ("${A}x", "valuex"),
        ("$NONE.", "."),
        (r"\$A", "$A"),
        ("'$A'", "$A"),
        ('"$A"', "value"),
        (r'"\$A \x"', r"$A \x"),
        ("${NONE:-word}", "word"),
        ("${EMPTY:-word}", "word"),
        ("${EMPTY-word}", ""),
        ("${NONE-word}", "word"),
        ("${A:-word}", "value"),
        ("${A:+word}", "word"),
        ("${EMPTY:+word}", ""),
        ("${EMPTY+word}", "word"),
        ("${NONE+word}", ""),
        ("${NONE:-${A:+$A-x}}", "value-x"),
        ("${A:?no}", "value"),
        ("${FILE#*/}", "archive.tar.gz"),
        ("${FILE#*.}", "tar.gz"),
        ("${FILE##*.}", "gz"),
        ("${FILE%.*}", "dir/archive.tar"),
        ("${FILE%%.*}", "dir/archive"),
        ("${FILE%?z}", "dir/archive.tar."),
        ("${FILE/a/A}", "dir/Archive.tar.gz"),
        ("${FILE//a/A}", "dir/Archive.tAr.gz"),
        (r"${FILE//\//_}", "dir_archive.tar.gz"),
        (r"${STAR//\*/+}", "a+b+c"),
        (r"${STAR#a\*}", "b*c"),
        ("$", "$"),
        ("$1x", "x"),
        ("한$A", "한value"),
        ("a<b", "a<b"),
    ],
)
def test_forms(word: str, expected: str) -> None:
    assert Lexer().expand(word, ENV) == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("${", "missing '}'"),
        ("${A", "unsupported modifier"),
        ("${A:-x", "missing '}'"),
        ("${}", "bad substitution"),
        ("${A:=x}", "unsupported modifier (:=)"),
        ("${A:#x}", "unsupported modifier (:#)"),
        ("'open", "single-quote"),
        ('"open', "double-quote"),
        ("${NONE?}", "NONE: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NONE:?say why}", "NONE: say why"),
        (r"${A#\x}", "invalid escape"),
    ],
)
def test_wrong_forms_say_what_is_wrong(word: str, message: str) -> None:
    with pytest.raises(Problem) as caught:
        Lexer().expand(word, ENV)
    assert message in caught.value.message


def test_words_split_at_unquoted_space_only() -> None:
    assert Lexer().words("$TWO \"$TWO\" a\\ b 'c d'", ENV) == ("80", "443", "80 443", "a b", "c d")


def test_backtick_escape_leaves_backslashes_alone() -> None:
    assert Lexer("`").expand(r"c:\dir\$A `$A", ENV) == r"c:\dir\value $A"


def test_used_and_missing_names_are_told() -> None:
    done = Lexer().process("$A ${NONE:-$EMPTY}", ENV)
    assert done.found == {"A", "EMPTY"}
    assert done.missing == {"NONE"}


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="$'\"\\<")))
def test_plain_text_is_left_alone(text: str) -> None:
    assert Lexer().expand(text, {}) == text


@given(st.text(alphabet="ab$ {}\\'\"<-:+?#%/*", max_size=30))
def test_any_text_expands_or_is_a_problem(text: str) -> None:
    with suppress(Problem):
        Lexer().process(text, ENV)


@given(st.text(max_size=40))
def test_a_quoted_value_comes_back_whole(value: str) -> None:
    assert Lexer().words('"$V"', {"V": value}) == ((value,) if value else ())
