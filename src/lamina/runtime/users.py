"""Who a container's process is: names and numbers of USER resolved by the image's own passwd and group files.

runc opens both files from inside the container before it starts a process, whatever it was told: before version 1.3
even for users given as numbers with HOME in the environment (opencontainers/runc pull request 3999). A FIFO there makes
it wait for ever, and a device without an end fills its memory. So `check_account_files` looks at them before such a
runtime does.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import InvalidInput
from lamina.linux.files import is_made_up
from lamina.linux.paths import followed, openat2
from lamina.runtime.failure import inspect
from lamina.runtime.spec import AnyMount, User

FILE_LIMIT = 4 << 20  # bytes of passwd or group that are read
_ACCOUNT_FILES = ("/etc/passwd", "/etc/group")
ACCOUNT_FILE_LIMIT = 64 << 20  # bytes; of a line without an end all is kept
_KERNEL_PLACES = ("/dev/", "/proc/", "/sys/")  # what is there when runc looks is not what the image has
_FIRST_RUNC_WITHOUT = (1, 3)


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
    """Resolve `user` ("", "name", "uid", either with ":group") and additional groups `add`.

    As in Docker, a number needs no entry in the files. It takes group and home from the entry with this id, if there
    is one. Explicit groups replace the supplementary ones of the group file. Raise InvalidInput for an unknown name.
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
    """Return (uid, gid, home, login name) of a name or number."""
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
        raise InvalidInput(f"unable to find group {name}: no matching entries in group file", group=name)
    return _in_range(name)


def _is_number(text: str) -> bool:
    """Accept decimal digits of ASCII only; `str.isdigit` also takes digits that `int` does not read."""
    return text.isascii() and text.isdigit()


def _in_range(number: str) -> int:
    # The length first: int() refuses thousands of digits with an error of its own.
    if len(number) > 20 or int(number) > 0x7FFFFFFF:
        raise InvalidInput(f"uids and gids must be in range 0-{0x7FFFFFFF}", value=number)
    return int(number)


def opens_account_files(version: str) -> bool:
    """Return whether the runtime program that tells `version` of itself (`--version`) opens those files."""
    if not version.startswith("runc version "):
        return False
    number = re.match(r"runc version (\d+)\.(\d+)", version)
    return number is None or (int(number[1]), int(number[2])) < _FIRST_RUNC_WITHOUT


def check_account_files(root: Path, mounts: Sequence[AnyMount]) -> None:
    """Raise InvalidInput when one of the files in the tree at `root`, with `mounts` over it, is neither missing nor a
    regular file of a size that can be read."""
    for path in _ACCOUNT_FILES:
        final = _followed(root, path)
        status = inspect(final, root, mounts)
        plain = status is None or (stat.S_ISREG(status.st_mode) and status.st_size <= ACCOUNT_FILE_LIMIT)
        if not plain or f"{final}/".startswith(_KERNEL_PLACES):
            raise InvalidInput(
                f"{path} of the container is not a regular file of at most {ACCOUNT_FILE_LIMIT >> 20} MiB",
                advice="runc before 1.3 would open it and may wait for ever: use crun, or a newer runc",
                path=path,
                exit_code=128,
            )


def _followed(root: Path, path: str) -> str:
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return followed(root_fd, path)
    finally:
        os.close(root_fd)
