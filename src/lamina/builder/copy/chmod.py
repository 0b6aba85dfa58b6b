"""`--chmod`: octal modes, and the symbolic form that the current Dockerfile language allows (`u=rwX,go=rX`).

Rule: Dockerfile reference, "COPY --chown --chmod"; chmod(1) for the symbols.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lamina.dockerfile.position import Problem

_CLAUSE = re.compile(r"([ugoa]*)([-+=][rwxXst]*)+\Z")
_OPERATION = re.compile(r"([-+=])([rwxXst]*)")
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111}
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}


@dataclass(frozen=True, slots=True)
class Chmod:
    """A change of mode: an absolute one, or clauses to apply one after the other."""

    absolute: int | None
    clauses: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Chmod | None:
        """None for empty text. Raises Problem for anything that is no mode."""
        if not text:
            return None
        if not text.strip("01234567"):
            mode = int(text, 8)
            if mode > 0o7777:
                raise _invalid(text)
            return cls(mode)
        clauses = tuple(text.split(","))
        if not all(_CLAUSE.match(clause) for clause in clauses):
            raise _invalid(text)
        return cls(None, clauses)

    def apply(self, mode: int, directory: bool) -> int:
        """The mode a file with `mode` gets. `X` counts for directories and for what somebody may execute already."""
        if self.absolute is not None:
            return self.absolute
        for clause in self.clauses:
            match = _CLAUSE.match(clause)
            who = match[1] if match else ""
            for operator, letters in _OPERATION.findall(clause):
                mode = _changed(mode, who or "a", operator, letters, directory)
        return mode


def _invalid(text: str) -> Problem:
    return Problem(f"invalid chmod parameter: '{text}'", "Write an octal mode such as 0755, or u=rwX,go=rX.")


def _changed(mode: int, who: str, operator: str, letters: str, directory: bool) -> int:
    mask = 0
    for letter in who:
        mask |= _WHO[letter]
    bits = 0
    for letter in letters:
        if letter == "s":
            bits |= mask & 0o6000
        elif letter == "t":
            bits |= 0o1000
        elif letter == "X":
            bits |= 0o111 & mask if directory or mode & 0o111 else 0
        else:
            bits |= _BITS[letter] & mask
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    return (mode & ~(mask & 0o777)) | bits
