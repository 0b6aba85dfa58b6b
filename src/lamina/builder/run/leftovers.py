"""What the RUN steps of a crashed engine left: containers that nobody waits for, and their short-lived files."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from lamina.errors import LaminaError
from lamina.runtime.runtime import Runtime
from lamina.snapshots.records import delete_tree

PREFIX = "build-"  # of a step's folder, in front of its container's ID
_SECONDS = 10.0  # for a killed container to end


def sweep_files(folder: Path) -> None:
    """Remove what builds left in `folder`, such as clones of repositories. The folders of steps stay for `sweep`."""
    for left in folder.iterdir():
        if not left.name.startswith(PREFIX):
            delete_tree(left)


def sweep(runtime: Runtime, folder: Path) -> None:
    """End the containers of steps that have a folder in `folder`, and remove those folders.

    To be called at an engine's start, before snapshots and networks are swept.
    """
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(LaminaError):  # one that cannot be ended must not keep the others
            task = runtime.recover(left.name.removeprefix(PREFIX))
            if task.pid:
                task.kill(all=True)
                task.wait(_SECONDS)
            task.delete()
        shutil.rmtree(left, ignore_errors=True)
