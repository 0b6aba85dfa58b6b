"""Which cgroup hierarchies this machine has, where a task's directories are in them, and which limits they can keep."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

ROOT = Path("/sys/fs/cgroup")

_FLAGS = ("rw", "ro", "xattr", "clone_children")

Mode = Literal["v1", "v2", "hybrid", "none"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The hierarchies of this machine. `mode` "hybrid" is v2 beside v1; `unified` is the mount point of v2.

    `controllers` maps each v1 controller to the mount point of its hierarchy.
    """

    mode: Mode
    controllers: Mapping[str, Path]
    unified: Path | None

    @property
    def v2(self) -> bool:
        return self.mode == "v2"

    def directories(self, path: str) -> dict[str, Path]:
        """Return the task's directory by controller; with v2 one directory, under the name ""."""
        below = path.lstrip("/")
        if self.mode == "v2" and self.unified is not None:
            return {"": self.unified / below}
        return {name: root / below for name, root in self.controllers.items()}

    def everywhere(self, path: str) -> tuple[Path, ...]:
        """Return the task's directory in every hierarchy, the v2 one beside v1 included: each once."""
        directories = list(self.directories(path).values())
        if self.mode == "hybrid" and self.unified is not None:
            directories.append(self.unified / path.lstrip("/"))
        return tuple(dict.fromkeys(directories))

    @property
    def hierarchies(self) -> tuple[str, ...]:
        """Return every mounted hierarchy as "controller=mount point", with no controller for v2."""
        if self.mode == "v2":
            return (f"={self.unified}",)
        return tuple(f"{name}={root}" for name, root in self.controllers.items())

    def directory(self, controller: str, path: str) -> Path | None:
        """Return the task's directory for `controller`, or None where this machine has no such controller."""
        directories = self.directories(path)
        return directories.get("" if self.mode == "v2" else controller)


@cache
def detect(mountinfo: str = "/proc/self/mountinfo") -> Layout:
    """Read the mount table (proc(5)). Of two mounts of one hierarchy, the one below /sys/fs/cgroup counts, where
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
    """Yield for every mount where it is, its type, and its file system's options."""
    for line in Path(mountinfo).read_text().splitlines():
        before, _, after = line.partition(" - ")
        type, _, options = after.split(" ", 2)
        yield Path(before.split(" ")[4]), type, options.split(",")


def processes(directory: Path) -> list[int]:
    """Return the ids of the processes in a cgroup and in those that its container made below it; none where it is
    gone."""
    pids = []
    for folder, _, _ in os.walk(directory):
        with suppress(OSError):  # gone meanwhile, or a threaded cgroup, whose processes are its parent's
            pids += [int(pid) for pid in Path(folder, "cgroup.procs").read_text().split()]
    return pids


def remove(directory: Path) -> None:
    """Remove an empty cgroup and those below it; nothing happens where it is gone or still in use."""
    for folder, _, _ in os.walk(directory, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return


@dataclass(frozen=True, slots=True)
class Abilities:
    """One member for each kind of limit, by the files that take it (kernel: admin-guide/cgroup-v1, cgroup-v2)."""

    memory: bool = True
    swap: bool = True
    swappiness: bool = True
    reservation: bool = True
    oom_kill_disable: bool = True
    cpu_shares: bool = True
    cpu_quota: bool = True
    cpu_realtime: bool = True
    cpuset: bool = True
    pids: bool = True
    io_weight: bool = True
    io_weight_device: bool = True
    io_throttle: bool = True


def abilities(layout: Layout) -> Abilities:
    """Return what the hierarchies of `layout` can do."""
    if layout.v2 and layout.unified is not None:
        return _unified(layout.unified)
    return _by_controller(tuple(layout.controllers.items()))


@cache
def _by_controller(controllers: tuple[tuple[str, Path], ...]) -> Abilities:
    """Return what hierarchies of v1 can do. Their files are the kernel's, and do not change while it runs."""
    roots = dict(controllers)

    def has(controller: str, file: str) -> bool:
        root = roots.get(controller)
        return root is not None and (root / file).exists()

    return Abilities(
        memory=has("memory", "memory.limit_in_bytes"),
        swap=has("memory", "memory.memsw.limit_in_bytes"),
        swappiness=has("memory", "memory.swappiness"),
        reservation=has("memory", "memory.soft_limit_in_bytes"),
        oom_kill_disable=has("memory", "memory.oom_control"),
        cpu_shares=has("cpu", "cpu.shares"),
        cpu_quota=has("cpu", "cpu.cfs_quota_us"),
        cpu_realtime=has("cpu", "cpu.rt_runtime_us"),
        cpuset="cpuset" in roots,
        pids="pids" in roots,
        io_weight=has("blkio", "blkio.weight") or has("blkio", "blkio.bfq.weight"),
        io_weight_device=has("blkio", "blkio.weight_device") or has("blkio", "blkio.bfq.weight_device"),
        io_throttle=has("blkio", "blkio.throttle.read_bps_device"),
    )


def _unified(root: Path) -> Abilities:
    """Return what the root's list of controllers and the files of a group below it tell. The root has no limits."""
    controllers = frozenset((root / "cgroup.controllers").read_text().split())
    below = next((entry for entry in root.iterdir() if (entry / "cgroup.procs").exists()), root)
    swap = "memory" in controllers and (below == root or (below / "memory.swap.max").exists())
    weight = "io" in controllers and any((below / name).exists() for name in ("io.weight", "io.bfq.weight"))
    return Abilities(
        memory="memory" in controllers,
        swap=swap,
        swappiness=False,
        reservation="memory" in controllers,
        oom_kill_disable=False,
        cpu_shares="cpu" in controllers,
        cpu_quota="cpu" in controllers,
        cpu_realtime=False,
        cpuset="cpuset" in controllers,
        pids="pids" in controllers,
        io_weight=weight,
        io_weight_device=weight,
        io_throttle="io" in controllers,
    )
