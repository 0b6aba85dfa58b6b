"""`--chown` and `--chmod`: whose the copied files are, and who may do what with them.

Rule: Dockerfile reference, "COPY --chown --chmod". Modes are octal, or symbols as of chmod(1) (`u=rwX,go=rX`). Names of
users and groups are looked up in the files of the image. As in BuildKit a user without a group brings the group that
/etc/passwd names, and a number without a group is the group's number too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lamina.dockerfile.position import Problem
from lamina.dockerfile.suggest import did_you_mean
from lamina.layers.entry import EntryType
from lamina.layers.tree import Tree, find, read_all
from lamina.runtime.users import resolve

_CLAUSE = re.compile(r"([ugoa]*)([-+=][rwxXst]*)+\Z")
_OPERATION = re.compile(r"([-+=])([rwxXst]*)")
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111}
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}


@dataclass(frozen=True, slots=True)
class Owner:
    """The numeric owner that copied files get."""

    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Chmod:
    """A change of mode: to an absolute mode, or by clauses that are applied in order."""

    absolute: int | None
    clauses: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Chmod | None:
        """Return the change that `text` describes; None for empty text. Raise Problem when it is no mode."""
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
        """Return the new mode of a file with `mode`. `X` counts for directories and for executable files."""
        if self.absolute is not None:
            return self.absolute
        for clause in self.clauses:
            match = _CLAUSE.match(clause)
            who = match[1] if match else ""
            for operator, letters in _OPERATION.findall(clause):
                mode = _changed(mode, who or "a", operator, letters, directory)
        return mode


def _invalid(text: str) -> Problem:
    return Problem(
        f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
        "Write a mode such as 0755, or u=rwX,go=rX.",
    )


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


_DIGITS = 20  # more are no id, and int() refuses thousands of them with an error of its own
_ID, _GROUP = 2, 3  # columns of /etc/passwd: a user's number, and the number of its group
_MAX_FILE = 16 << 20  # bytes of /etc/passwd or /etc/group that are looked at
MAX_ID = 2**32 - 2


def parse_owner(text: str, image: Tree) -> Owner:
    """Return the numeric IDs of `user[:group]`. Raise Problem for a name that the image does not have."""
    user, separator, group = text.partition(":")
    if ":" in group:
        raise Problem(f"invalid chown string format: {text}", "Write user, or user:group.")
    uid = _number(user, "user", "etc/passwd", image)
    if separator:
        return Owner(uid, _number(group, "group", "etc/group", image))
    return Owner(uid, dict(_rows(image, "etc/passwd", _GROUP)).get(user, uid))


def owner_of_user(user: str, image: Tree) -> Owner:
    """Return the numeric IDs that USER stands for. Without a group it is the user's own one.

    Raise InvalidInput for a name that the image does not have. Root needs no entry.
    """
    if user in ("", "root"):
        return Owner()
    files = {path: _text(image, path) for path in ("etc/passwd", "etc/group")}
    account = resolve(user, files["etc/passwd"], files["etc/group"])
    return Owner(account.user.uid, account.user.gid)


def _number(name: str, kind: str, path: str, image: Tree) -> int:
    digits = name.removeprefix("-").removeprefix("+")
    if digits.isdecimal() and digits.isascii():
        return _checked(int(name) if len(name) <= _DIGITS else -1, name)
    rows = dict(_rows(image, path))
    if name not in rows:
        id_kind = "uid" if kind == "user" else "gid"
        raise Problem(
            f"unable to convert uid/gid chown string to host mapping: can't find {id_kind} for {kind} {name}: "
            f"no such {kind}: {name}",
            did_you_mean(name, rows) or f"/{path} of the image does not have it; numbers always work.",
        )
    return rows[name]


def _checked(value: int, text: str) -> int:
    if not 0 <= value <= MAX_ID:
        raise Problem(f"invalid id {text} in --chown", f"Ids lie between 0 and {MAX_ID}.")
    return value


def _text(image: Tree, path: str) -> bytes:
    node = find(image, path)
    return b"" if node is None or node.entry.type is not EntryType.REGULAR else read_all(image, node, _MAX_FILE)


def _rows(image: Tree, path: str, column: int = _ID) -> Iterator[tuple[str, int]]:
    """Yield the names in a file such as /etc/passwd, each with the number in a column; the first row comes last."""
    text = _text(image, path).decode("utf-8", "replace")
    for line in reversed(text.splitlines()):
        fields = line.strip().split(":")
        if len(fields) > column and not line.startswith("#"):
            number = fields[column]
            if number.isdecimal() and len(number) <= _DIGITS:
                yield fields[0], int(number)
