"""A program in memory that nobody can write to any more, whatever has it open (memfd_create(2), F_ADD_SEALS)."""

from __future__ import annotations

import fcntl
import os

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_LARGEST = 8 << 20  # bytes that a copy may hold in memory for good


class SealedPrograms:
    """Sealed copies of programs, made when they are first needed and again when the file changes."""

    def __init__(self) -> None:
        self._copies: dict[str, tuple[tuple[int, ...], int]] = {}

    def copy(self, path: str) -> int:
        """Return a descriptor of the copy, which stays ours; -1 where none can be made."""
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode)
                earlier, descriptor = self._copies.get(path, ((), -1))
                if identity == earlier:
                    return descriptor
                if descriptor >= 0:
                    os.close(descriptor)
                    del self._copies[path]
                if status.st_size > _LARGEST:
                    return -1
                descriptor = sealed_copy(file.fileno(), status.st_size)
        except OSError:
            return -1
        self._copies[path] = identity, descriptor
        return descriptor


def sealed_copy(source: int, size: int) -> int:
    """Return a descriptor of a file in memory with the first `size` bytes of `source`. Raise OSError."""
    copy = os.memfd_create("program", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        done = 0
        while done < size:
            sent = os.sendfile(copy, source, done, size - done)
            if not sent:
                raise OSError("the program has become shorter")
            done += sent
        os.fchmod(copy, 0o500)
        fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(copy)
        raise
    return copy
