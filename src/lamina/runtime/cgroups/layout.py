"""Which cgroup hierarchies this machine has, and where a task's directories are in them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

ROOT = Path("/sys/fs/cgroup")

_FLAGS = ("rw", "ro", "xattr", "clone_children")

Mode = Literal["v1", "v2", "hybrid", "none"]


@dataclass(frozen=True, slots=True)
class Layout:
    """`mode` is "hybrid" where a v2 hierarchy stands beside v1 ones; `unified` is its mount point (v2's, too).

    `controllers` maps each v1 controller to the mount point of its hierarchy.
    """

    mode: Mode
    controllers: Mapping[str, Path]
    unified: Path | None

    @property
    def v2(self) -> bool:
        return self.mode == "v2"

    def directories(self, path: str) -> dict[str, Path]:
        """The task's directory by controller; with v2 one directory, under the name ""."""
        below = path.lstrip("/")
        if self.mode == "v2" and self.unified is not None:
            return {"": self.unified / below}
        return {name: root / below for name, root in self.controllers.items()}

    def everywhere(self, path: str) -> tuple[Path, ...]:
        """The task's directory in every hierarchy, the v2 one beside v1 included: each once."""
        found = list(self.directories(path).values())
        if self.mode == "hybrid" and self.unified is not None:
            found.append(self.unified / path.lstrip("/"))
        return tuple(dict.fromkeys(found))

    @property
    def hierarchies(self) -> tuple[str, ...]:
        """Every mounted hierarchy as "controller=mount point", with no controller for v2."""
        if self.mode == "v2":
            return (f"={self.unified}",)
        return tuple(f"{name}={root}" for name, root in self.controllers.items())

    def directory(self, controller: str, path: str) -> Path | None:
        """The task's directory for `controller`, or None where this machine has no such controller."""
        found = self.directories(path)
        return found.get("" if self.mode == "v2" else controller)


@cache
def detect(mountinfo: str = "/proc/self/mountinfo") -> Layout:
    """Reads the mount table (proc(5)). Of two mounts of one hierarchy, the one below /sys/fs/cgroup counts, where
    runtimes look too; else the first."""
    controllers: dict[str, Path] = {}
    unified: Path | None = None
    for where, type, options in sorted(_mounts(mountinfo), key=lambda mount: not mount[0].is_relative_to(ROOT)):
        if type == "cgroup2":
            unified = unified or where
        elif type == "cgroup":
            for word in options:
                if word.startswith("name=") or (word not in _FLAGS and "=" not in word):
                    controllers.setdefault(word, where)
    if unified and controllers:
        return Layout("hybrid", controllers, unified)
    mode: Mode = "v2" if unified else "v1" if controllers else "none"
    return Layout(mode, controllers, unified)


def _mounts(mountinfo: str) -> Iterator[tuple[Path, str, list[str]]]:
    """Of every mount: where it is, its type, and its file system's options."""
    for line in Path(mountinfo).read_text().splitlines():
        before, _, after = line.partition(" - ")
        type, _, options = after.split(" ", 2)
        yield Path(before.split(" ")[4]), type, options.split(",")


def processes(directory: Path) -> list[int]:
    """The ids of the processes in a cgroup directory; none where it is gone."""
    try:
        return [int(pid) for pid in (directory / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def remove(directory: Path) -> None:
    """Removes an empty cgroup and those below it; nothing happens where it is gone or still in use."""
    for folder, _, _ in os.walk(directory, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return
