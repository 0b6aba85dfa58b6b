"""Files that all engines of a machine lock, whatever their roots are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lock_file(name: str) -> Iterator[int]:
    """Open the file called `name` for flock(2), and close it after the block, which gives its locks back."""
    folder = "/run/lock" if os.path.isdir("/run/lock") else "/run"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(os.path.join(folder, name), flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
