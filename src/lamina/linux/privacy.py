"""Modes of what is made on the host: closed to other users of the machine, unless it is made for them.

Programs of lamina's own (the daemon, its monitors, the registry) run under a umask of 077, so that whatever they make
is private without a word. What users and containers see is made with the functions here that say its mode. A program
that opens an `Engine` by itself keeps its umask: the roots are private by their own mode.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

USUAL_UMASK = 0o022
_PRIVATE_UMASK = 0o077


def make_private_by_default() -> None:
    """Set the umask of this process and those it starts to 077."""
    os.umask(_PRIVATE_UMASK)


def private_directory(path: Path, mode: int = 0o700) -> None:
    """Make a directory, or take the permissions beyond `mode` from one that is there. Its parents are made as usual.

    A directory of another owner is left as it is, since only its owner may change it. Raises OSError.
    """
    usual_directory(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
        path.chmod(mode)  # whatever the umask
    _narrow(path, mode)


def private_database(path: Path) -> None:
    """Make an SQLite file that only its owner may read, or close one that is there with its log and its index.

    SQLite gives its log and index the mode of the file. Raises OSError.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for part in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):  # there is none, or another process has closed the last connection
            _narrow(part, 0o600)


def usual_directory(path: Path) -> None:
    """Make a directory and its parents with mode 0755, whatever the umask; leave those that are there. Raises OSError.

    For what users look into, such as the folder of a socket or the source of a bind mount.
    """
    for missing in reversed([each for each in (path, *path.parents) if not each.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)


def write_for_containers(path: Path, text: str) -> None:
    """Write a file that every user of a container may read (0644), in place: it may be mounted. Raises OSError."""
    path.write_text(text)
    path.chmod(0o644)


def _narrow(path: Path, mode: int) -> None:
    status = path.stat()
    if status.st_mode & 0o777 & ~mode and status.st_uid == os.geteuid():
        path.chmod(stat.S_IMODE(status.st_mode) & (mode | ~0o777))
