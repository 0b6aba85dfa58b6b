"""Paths in a container's root, which the container controls: every step stays below the root."""

from __future__ import annotations

import os
from contextlib import suppress

from lamina.errors import InvalidInput
from lamina.linux.openat2 import openat2


def ensure_directory(root: str | os.PathLike[str], path: str) -> None:
    """`mkdir -p` below `root`; symlinks on the way are followed inside it. Raises InvalidInput where a file is."""
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        done = "/"
        for name in filter(None, os.path.normpath(path).split("/")):
            parent = openat2(root_fd, done, os.O_PATH | os.O_DIRECTORY)
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=parent)
            finally:
                os.close(parent)
            done = os.path.join(done, name)
        os.close(openat2(root_fd, done, os.O_PATH | os.O_DIRECTORY))
    except NotADirectoryError:
        raise InvalidInput(f"Cannot mkdir: {path} is not a directory", path=path) from None
    except FileNotFoundError:
        raise InvalidInput(f"Cannot mkdir: {path} leads through a link to nowhere", path=path) from None
    finally:
        os.close(root_fd)
