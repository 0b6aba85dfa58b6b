"""Images whose /etc/passwd or /etc/group would hold up the OCI runtime.

runc opens both from inside the container before it starts a process, whatever it was told: before version 1.3 even for
users given as numbers with HOME in the environment (opencontainers/runc pull request 3999). A FIFO there makes it wait
for ever, a device without an end fills its memory. So such files are looked at before a runtime of that kind is.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from lamina.errors import InvalidInput
from lamina.linux.paths import followed
from lamina.runtime.failure import inspect
from lamina.runtime.spec import AnyMount

PATHS = ("/etc/passwd", "/etc/group")
SIZE_LIMIT = 64 << 20  # bytes; of a line without an end all is kept
_OF_THE_KERNEL = ("/dev/", "/proc/", "/sys/")  # what is there when runc looks is not what the image has
_FIRST_WITHOUT = (1, 3)


def opens_them(version: str) -> bool:
    """Whether the runtime program that tells `version` of itself (`--version`) opens those files."""
    if not version.startswith("runc version "):
        return False
    number = re.match(r"runc version (\d+)\.(\d+)", version)
    return number is None or (int(number[1]), int(number[2])) < _FIRST_WITHOUT


def check(root: Path, mounts: Sequence[AnyMount]) -> None:
    """Raises InvalidInput when one of the files in the tree at `root`, with `mounts` over it, is neither missing nor a
    regular file of a size that can be read."""
    for path in PATHS:
        final = _followed(root, path)
        found = inspect(final, root, mounts)
        plain = found is None or (stat.S_ISREG(found.st_mode) and found.st_size <= SIZE_LIMIT)
        if not plain or f"{final}/".startswith(_OF_THE_KERNEL):
            raise InvalidInput(
                f"{path} of the container is not a regular file of at most {SIZE_LIMIT >> 20} MiB",
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
