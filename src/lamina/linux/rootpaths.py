"""Paths below a root directory that somebody else controls: where they lead, as seen from inside."""

from __future__ import annotations

import os

from lamina.formats.symlinks import follow
from lamina.linux.openat2 import openat2


def followed(root_fd: int, path: str) -> str:
    """Return `path` below `root_fd` with every symlink followed, also where what they lead to is missing.

    The result is absolute and holds for as long as nobody changes the tree: to act on a path, open it by `openat2`.
    """
    return "/" + follow(path, lambda at, more: _link(root_fd, at), strict=False)


def _link(root_fd: int, path: str) -> str:
    """Return the text of a symlink; "" for anything else."""
    try:
        fd = openat2(root_fd, path, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        return os.readlink("", dir_fd=fd)
    except OSError:
        return ""
    finally:
        os.close(fd)
