"""Near misses: what the writer probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_GUESS = re.compile(r"Did you mean (.+?)\?")


def did_you_mean(word: str, words: Iterable[str]) -> str | None:
    """Return a sentence with the known word closest to `word`; None when none is close. Case does not count."""
    near = nearest(word, words)
    return f"Did you mean {near}?" if near is not None else None


def with_guess(message: str, fix: str) -> tuple[str, str]:
    """Return a message with the near miss that the fix begins with, in BuildKit's form, and the rest of the fix.

    Rule: moby/buildkit, util/suggest.
    """
    guess = _GUESS.match(fix)
    if guess is None:
        return message, fix
    return f"{message} (did you mean {guess[1].removeprefix('--')}?)", fix[guess.end() :].strip()


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the known word closest to `word`; None when none is close. Case does not count."""
    by_fold = {name.lower(): name for name in words}
    close = difflib.get_close_matches(word.lower(), list(by_fold), n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None
