"""Places below a root to mount on: opened by the kernel below that root, and made where they are missing."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lamina.errors import InvalidInput
from lamina.layers.parents import Parents
from lamina.linux.paths import followed, openat2


@contextmanager
def directories_below(root: int) -> Iterator[Parents]:
    """Yield the directories below a root, which are made where they are missing. Raise only OSError."""
    directories = Parents(root, lambda directory, name: False)
    try:
        yield directories
    except InvalidInput as error:
        raise NotADirectoryError(errno.ENOTDIR, error.message) from None
    finally:
        directories.close()


def open_place(root: int, path: str, is_directory: bool) -> int:
    """Return a descriptor (O_PATH) of the directory or file `path` below `root`. Raise OSError."""
    with directories_below(root) as directories:
        return os.dup(directories.open(path.strip("/"))) if is_directory else _file(root, path, directories)


def _file(root: int, path: str, directories: Parents) -> int:
    try:
        place = openat2(root, path, os.O_PATH)
    except FileNotFoundError:
        final = followed(root, path)
        parent, name = os.path.split(final)
        directory = directories.open(parent.strip("/"))
        with suppress(FileExistsError):  # a container that shares the directory was faster
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o755, dir_fd=directory))
        place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    status = os.fstat(place)
    if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
        os.close(place)
        raise IsADirectoryError(errno.EISDIR, "a file cannot be mounted on a directory")
    return place
