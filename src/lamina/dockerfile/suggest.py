"""Near misses: what the writer probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_FAR = 3  # letters
_LONGEST = 200  # letters of a word that are compared
_WORD = re.compile(r"\w[\w-]{2,}")
_GUESS = re.compile(r"Did you mean (.+?)\?")


def did_you_mean(word: str, words: Iterable[str]) -> str | None:
    """Return a sentence with the known word closest to `word`; None when none is close. Case does not count."""
    near = nearest(word, words)
    return f"Did you mean {near}?" if near is not None else None


def with_guess(message: str, fix: str) -> tuple[str, str]:
    """Return a message with the near miss that the fix begins with, in BuildKit's form, and the rest of the fix.

    BuildKit guesses less: what differs from each word of the message in three letters or more is left out.
    Rule: moby/buildkit, util/suggest.
    """
    guess = _GUESS.match(fix)
    if guess is None:
        return message, fix
    rest, near = fix[guess.end() :].strip(), guess[1].removeprefix("--")
    if all(_distance(word.lower(), near.lower()) >= _FAR for word in _WORD.findall(message)):
        return message, rest
    return f"{message} (did you mean {near}?)", rest


def _distance(one: str, other: str) -> int:
    """Return how many letters must be added, removed or replaced to make one word of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one[:_LONGEST], 1):
        before, row = row, [number]
        for column, known in enumerate(other[:_LONGEST], 1):
            row.append(min(before[column] + 1, row[-1] + 1, before[column - 1] + (letter != known)))
    return row[min(len(other), _LONGEST)]


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the known word closest to `word`; None when none is close. Case does not count."""
    by_fold = {name.lower(): name for name in words}
    close = difflib.get_close_matches(word.lower(), list(by_fold), n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None
