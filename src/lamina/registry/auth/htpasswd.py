"""Names and passwords from an htpasswd file with bcrypt entries (`htpasswd -B`)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from pathlib import Path

import bcrypt

from lamina.errors import InvalidInput

_BCRYPT = re.compile(r"\$2[yab]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_REMEMBERED = 10_000
_CHEAPEST = 4  # the lowest cost bcrypt takes


class Htpasswd:
    """Checks passwords. The file is read anew when it changes. Good answers are remembered, by a salted hash.

    Every check that fails costs the same work, whoever the user is: that of the file's most expensive entry.

    Raises InvalidInput, naming the line, for a file that is not understood.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._users: dict[str, bytes] = {}
        self._highest_cost = _CHEAPEST
        self._good: dict[bytes, str] = {}
        self._salt = os.urandom(16)
        self._refresh()

    async def check(self, user: str, password: str) -> bool:
        """Return whether this is the user's password."""
        self._refresh()
        key = hashlib.sha256(self._salt + user.encode() + b"\0" + password.encode()).digest()
        if key in self._good:
            return True
        stored = self._users.get(user)
        good = await asyncio.to_thread(_matches, password, stored, self._highest_cost)
        if good:
            if len(self._good) >= _REMEMBERED:
                self._good.clear()
            self._good[key] = user
        return good

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._users = _parse(self._path.read_text(), self._path)
                self._highest_cost = max(map(_cost, self._users.values()), default=_CHEAPEST)
                self._stamp = stamp
                self._good.clear()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"The htpasswd file {self._path} cannot be read", status=503) from error


def _matches(password: str, stored: bytes | None, highest_cost: int) -> bool:
    """Compare with a stored hash, or with none, by the work of one hash at `highest_cost`.

    A hash at cost c is 2**c rounds. Hashes at the costs c, c+1, … below the highest add up to what one at c leaves out.
    """
    secret = password.encode()[:72]
    first = highest_cost if stored is None else _cost(stored)
    good = bcrypt.checkpw(secret, _nobody(first) if stored is None else stored)
    for cost in range(first, highest_cost):
        bcrypt.checkpw(secret, _nobody(cost))
    return good and stored is not None


def _nobody(cost: int) -> bytes:
    """Return an entry that no password fits."""
    return bcrypt.gensalt(cost) + b"." * 31


def _cost(stored: bytes) -> int:
    return int(stored[4:6])


def _parse(text: str, path: Path) -> dict[str, bytes]:
    users = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, _, stored = line.strip().partition(":")
        if not user or not _BCRYPT.fullmatch(stored):
            raise InvalidInput(f"{path}, line {number}: not a bcrypt entry", advice="Make it with htpasswd -B.")
        users[user] = b"$2b$" + stored[4:].encode()
    return users
