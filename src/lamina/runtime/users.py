"""Who a container's process is: names and numbers of USER resolved by the image's own passwd and group files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lamina.errors import InvalidInput
from lamina.linux.files import is_made_up
from lamina.linux.paths import openat2
from lamina.runtime.spec import User

FILE_LIMIT = 4 << 20  # bytes of passwd or group that are read


@dataclass(frozen=True, slots=True)
class Account:
    """A resolved user with the home directory its HOME should name."""

    user: User
    home: str = "/"


def read_in_root(root: str | os.PathLike[str], path: str) -> bytes:
    """Return at most `FILE_LIMIT` bytes of a file as seen from inside `root`, links kept within.

    The root may be that of a running container, which may change it meanwhile. What is missing, or no regular file
    with a content of its own, counts as empty.
    """
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        place = openat2(root_fd, path, os.O_PATH)
    except OSError:
        return b""
    finally:
        os.close(root_fd)
    try:
        # Looked at before it is opened for reading: a FIFO could keep us waiting, and to open a device may set off
        # whatever it is for.
        if not stat.S_ISREG(os.fstat(place).st_mode) or is_made_up(place):
            return b""
        with open(f"/proc/self/fd/{place}", "rb") as file:
            return file.read(FILE_LIMIT)
    except OSError:
        return b""
    finally:
        os.close(place)


def _rows(content: bytes, width: int) -> Iterator[list[str]]:
    for line in content.decode("utf-8", "surrogateescape").splitlines():
        row = line.strip().split(":")
        if line and not line.startswith("#") and len(row) >= width:
            yield row


def resolve(user: str, passwd: bytes, group: bytes, add: Sequence[str] = ()) -> Account:
    """Resolves `user` ("", "name", "uid", either with ":group") and additional groups `add`.

    Numbers need no entry; names do, else InvalidInput, as Docker has it. A number that is also somebody's id takes
    that entry's group and home. Explicit groups replace the supplementary ones of the group file.
    """
    name, _, wanted_group = user.partition(":")
    uid, gid, home, login = _account(name or "0", passwd)
    groups: list[int] = []
    if wanted_group:
        gid = _group(wanted_group, group)
    elif login:
        groups = [_in_range(row[2]) for row in _rows(group, 4) if login in row[3].split(",") and _is_number(row[2])]
    groups += [_group(each, group) for each in add]
    return Account(User(uid, gid, tuple(dict.fromkeys(groups))), home)


def _account(name: str, passwd: bytes) -> tuple[int, int, str, str]:
    """(uid, gid, home, login name) of a name or number."""
    for row in _rows(passwd, 6):
        if row[0] == name or row[2] == name:
            if not (_is_number(row[2]) and _is_number(row[3])):
                break
            return _in_range(row[2]), _in_range(row[3]), row[5] or "/", row[0]
    if not _is_number(name):
        raise InvalidInput(f"unable to find user {name}: no matching entries in passwd file", user=name)
    return _in_range(name), 0, "/", ""


def _group(name: str, group: bytes) -> int:
    for row in _rows(group, 3):
        if name in (row[0], row[2]) and _is_number(row[2]):
            return _in_range(row[2])
    if not _is_number(name):
        raise InvalidInput(f"Unable to find group {name}: no matching entries in group file", group=name)
    return _in_range(name)


def _is_number(text: str) -> bool:
    """Decimal digits of ASCII only; `str.isdigit` alone also takes those that `int` does not read."""
    return text.isascii() and text.isdigit()


def _in_range(number: str) -> int:
    # The length first: int() refuses thousands of digits with an error of its own.
    if len(number) > 20 or int(number) > 0x7FFFFFFF:
        raise InvalidInput(f"uids and gids must be in range 0-{0x7FFFFFFF}", value=number)
    return int(number)
