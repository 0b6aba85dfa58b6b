"""Splitting an instruction's line: keyword, `--flags`, words, JSON arrays, and what counts as white space.

Rule: the reference parser of BuildKit, whose quirks (which quotes survive, where an escape counts) are the language.
White space is Go's `unicode.IsSpace` for words, and a smaller set between arguments.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from lamina.dockerfile.position import Problem


@dataclass(frozen=True, slots=True)
class Command:
    """A line taken apart: the keyword as written, its flags without quotes, and the rest as it stands."""

    keyword: str
    flags: tuple[str, ...]
    rest: str


def split_command(line: str, escape: str) -> Command:
    """Take a logical line (continuations joined) apart."""
    parts = ARGUMENT_GAP.split(line.strip(SPACES), maxsplit=1)
    if len(parts) == 1:
        return Command(parts[0], (), "")
    scanner = _Flags(parts[1], escape)
    rest = scanner.scan()
    return Command(parts[0], tuple(scanner.flags), rest.strip(SPACES))


@dataclass(slots=True)
class _Flags:
    """Reads `--name=value` words from the front of a line; quotes inside them are removed, escapes resolved."""

    line: str
    escape: str
    at: int = 0
    flags: list[str] = field(default_factory=list)

    def scan(self) -> str:
        while True:
            while self.at < len(self.line) and is_space(self.line[self.at]):
                self.at += 1
            if not self.line.startswith("--", self.at):
                return self.line[self.at :]
            word = self._word()
            if word == "--":
                return self.line[self.at :]
            self.flags.append(word)

    def _word(self) -> str:
        word: list[str] = []
        quote = ""
        while self.at < len(self.line):
            char = self.line[self.at]
            if not quote and is_space(char):
                break
            self.at += 1
            if char == quote:
                quote = ""
            elif not quote and char in "'\"":
                quote = char
            elif char == self.escape:
                word.append(self.line[self.at : self.at + 1])
                self.at += 1
            else:
                word.append(char)
        return "".join(word)


def split_words(rest: str, escape: str) -> tuple[str, ...]:
    """Return words at white space outside quotes. Quotes and escapes stay: expansion removes them later."""
    words: list[str] = []
    at = 0
    while at < len(rest):
        if is_space(rest[at]):
            at += 1
            continue
        word, at = _quoted_word(rest, at, escape)
        if word:
            words.append(word)
    return tuple(words)


def _quoted_word(rest: str, at: int, escape: str) -> tuple[str, int]:
    word: list[str] = []
    quote = ""
    while at < len(rest):
        char = rest[at]
        if not quote and is_space(char):
            break
        if char == escape and quote != "'":
            if at + 1 == len(rest):
                at += 1
                break
            word.append(char)
            at += 1
            char = rest[at]
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        word.append(char)
        at += 1
    return "".join(word), at


def split_gaps(rest: str) -> tuple[str, ...]:
    """Return words at plain white space, quotes without meaning."""
    return tuple(ARGUMENT_GAP.split(rest)) if rest else ()


def json_array(rest: str) -> tuple[str, ...] | None:
    """Return the strings of a JSON array, or None when `rest` is not one (then it is shell form).

    Raise Problem for a JSON array that holds anything but strings.
    """
    text = rest.lstrip(SPACES)
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text, strict=True)
    except ValueError:
        return None
    except RecursionError:
        raise Problem("the JSON array is nested too deeply", "Arrays may only hold strings.") from None
    if not all(isinstance(value, str) for value in values):
        raise Problem(
            "when using JSON array syntax, arrays must be comprised of strings only", 'Put every item in "quotes".'
        )
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Pair:
    """A name and its value as written; `legacy` for the old form `ENV name value`."""

    name: str
    value: str
    legacy: bool = False

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


def name_values(rest: str, keyword: str, escape: str) -> tuple[Pair, ...]:
    """Return the pairs of ENV or LABEL: `a=1 b=2`, or the legacy `a 1`. Raise Problem where neither form fits."""
    words = split_words(rest, escape)
    if not words:
        raise Problem(f"{keyword} requires at least one argument", f"Write {keyword} name=value.")
    if "=" not in words[0]:
        parts = ARGUMENT_GAP.split(rest, maxsplit=1)
        if len(parts) < 2:
            raise Problem(f"{keyword} must have two arguments", f"Write {keyword} {rest}=value.")
        return (Pair(parts[0], parts[1], legacy=True),)
    return tuple(_pair(word, keyword) for word in words)


def _pair(word: str, keyword: str) -> Pair:
    name, equals, value = word.partition("=")
    if not equals:
        raise Problem(
            f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value',
            "Quote the value if it has spaces.",
        )
    if not name:
        raise Problem(f"{keyword} names can not be blank", f"Write {keyword} name=value.")
    return Pair(name, value)


_WIDE = "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
SPACES = f"\t\n\v\f\r \x85\xa0{_WIDE}"
ARGUMENT_GAP = re.compile(r"[\t\v\f\r ]+")


def is_space(char: str) -> bool:
    """Return whether `char` is white space to Go's `unicode.IsSpace`."""
    return char in SPACES
