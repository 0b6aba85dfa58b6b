"""Walking a directory that others have written to: sorted, never through a symlink, at any depth a path can name."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from lamina.linux.paths import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from lamina.lru import LruCache

_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class WalkedFile:
    """A file below the root of a walk. `parent` is a descriptor of its directory, valid until the walk's next step."""

    path: str
    parent: int
    name: str
    status: os.stat_result

    @property
    def is_directory(self) -> bool:
        """Return whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)


class Directories:
    """Directories below a root by path, opened for reading; a few stay open. Use it in one thread."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._open: LruCache[str, int] = LruCache(_OPEN_AT_ONCE, os.close)

    def open(self, path: str) -> int:
        """Return a descriptor that belongs to this object. Raise OSError: ELOOP or ENOTDIR for other files."""
        if (directory := self._open.get(path)) is not None:
            return directory
        directory = openat2(self._root, path or ".", _READ, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        self._open.put(path, directory)
        return directory

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted by their bytes."""
        return sorted(os.listdir(self.open(path)), key=os.fsencode)

    def find(self, path: str) -> WalkedFile | None:
        """Return the file at `path`, which is not the root; None when it is gone."""
        head, _, name = path.rpartition("/")
        try:
            parent = self.open(head)
            return WalkedFile(path, parent, name, os.stat(name, dir_fd=parent, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Close everything; a second call does nothing."""
        self._open.clear()

    def __enter__(self) -> Directories:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()


def walk(directories: Directories) -> Iterator[WalkedFile]:
    """Yield all files but the root, sorted, directories before their files. Files that vanish are left out."""
    todo = directories.names("")[::-1]
    while todo:
        file = directories.find(todo.pop())
        if file is None:
            continue
        yield file
        if file.is_directory:
            prefix = file.path + "/"
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                todo.extend(prefix + name for name in reversed(directories.names(file.path)))
