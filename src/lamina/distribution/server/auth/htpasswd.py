"""Names and passwords from an htpasswd file with bcrypt entries (`htpasswd -B`)."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import bcrypt

from lamina.errors import InvalidInput

_BCRYPT = ("$2y$", "$2a$", "$2b$")
_REMEMBERED = 10_000
_NOBODY = bcrypt.hashpw(os.urandom(16), bcrypt.gensalt(rounds=5))


class Htpasswd:
    """Checks passwords. The file is read anew when it changes. Good answers are remembered, by a salted hash.

    Raises InvalidInput, naming the line, for a file that is not understood.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._users: dict[str, bytes] = {}
        self._good: dict[bytes, str] = {}
        self._salt = os.urandom(16)
        self._refresh()

    async def check(self, user: str, password: str) -> bool:
        """Whether this is the user's password; takes the same time for users that do not exist."""
        self._refresh()
        key = hashlib.sha256(self._salt + user.encode() + b"\0" + password.encode()).digest()
        if key in self._good:
            return True
        stored = self._users.get(user)
        good = await asyncio.to_thread(_matches, password, stored or _NOBODY) and stored is not None
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
                self._stamp = stamp
                self._good.clear()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"The htpasswd file {self._path} cannot be read", status=503) from error


def _matches(password: str, stored: bytes) -> bool:
    return bcrypt.checkpw(password.encode()[:72], stored)


def _parse(text: str, path: Path) -> dict[str, bytes]:
    users = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, _, stored = line.strip().partition(":")
        if not user or not stored.startswith(_BCRYPT):
            raise InvalidInput(f"{path}, line {number}: not a bcrypt entry", advice="Make it with htpasswd -B.")
        users[user] = b"$2b$" + stored[4:].encode()
    return users
