"""Paths in a container's root, which the container controls: every step stays below the root."""

from __future__ import annotations

import errno
import os

from lamina.errors import InvalidInput
from lamina.layers.parents import Parents


def ensure_directory(root: str | os.PathLike[str], path: str) -> None:
    """`mkdir -p` below `root`; symlinks on the way are followed inside it, and what they name is made where it is
    missing. Raises InvalidInput where a file is in the way, or links lead in circles."""
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    directories = Parents(root_fd, lambda directory, name: False)
    try:
        directories.open(os.path.normpath(path).strip("/"))
    except InvalidInput:
        raise InvalidInput(f"Cannot mkdir: {path} is not a directory", path=path) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise InvalidInput(f"Cannot mkdir: {path}: {error.strerror}", path=path) from None
        raise
    finally:
        directories.close()
        os.close(root_fd)
