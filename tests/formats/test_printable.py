"""What is made printable drives no terminal, whatever it was, and ordinary text is not touched."""

from __future__ import annotations

import json
import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from lamina.formats.text import printable

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("\x1b[]0;m\x07\x9b\x7f\u202e\u2066\u200f\r\n\udc9b")))


def is_harmless(text: str) -> bool:
    """Judged by Unicode's own tables, not by the list under test."""
    return not any(unicodedata.category(c) == "Cc" or _orders(c) or "\udc80" <= c <= "\udc9f" for c in text)


def _orders(character: str) -> bool:
    """Whether the character has no other use than to order those around it (UAX 9), or ends a line."""
    is_mark = unicodedata.name(character, "") in ("LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK", "ARABIC LETTER MARK")
    return is_mark or unicodedata.bidirectional(character) in BIDI or unicodedata.category(character) in ("Zl", "Zp")


@given(TEXTS)
def test_nothing_that_drives_a_terminal_is_left(text: str) -> None:
    assert is_harmless(printable(text))


def test_every_single_character() -> None:
    for code in range(0x110000):
        character = chr(code)
        shown = printable(character)
        assert shown == character if is_harmless(character) else is_harmless(shown)


@given(TEXTS)
def test_made_printable_twice_is_made_printable_once(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(st.dictionaries(TEXTS, TEXTS))
def test_json_means_the_same_afterwards(document: dict[str, str]) -> None:
    text = json.dumps(document, ensure_ascii=False)
    assert json.loads(printable(text)) == document


@given(TEXTS)
def test_what_is_kept_and_colours_are_all_that_is_left(text: str) -> None:
    assert is_harmless(COLOUR.sub("", printable(text, "\n\t", colours=True)).replace("\n", "").replace("\t", ""))


def test_words() -> None:
    assert (
        printable("plain, größer, \U0001f469\u200d\U0001f680, שלום")
        == "plain, größer, \U0001f469\u200d\U0001f680, שלום"
    )
    assert printable("\x1b]0;title\x07\u202e\r\n") == "\\u001b]0;title\\u0007\\u202e\\r\\n"
    assert printable("\x1b[1;31mred\x1b[0m\x1b[2J", colours=True) == "\x1b[1;31mred\x1b[0m\\u001b[2J"
    assert printable("\x1b[31m") == "\\u001b[31m"
