"""What the machine and the engine are, for `info` and `version`."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lamina import __version__
from lamina.containers.rooms import Rooms
from lamina.engine.settings import EngineSettings
from lamina.errors import Unavailable
from lamina.formats.platform import Platform
from lamina.network.subnets import whole_pools
from lamina.runtime.apparmor import AppArmor


@dataclass(frozen=True, slots=True)
class Version:
    """lamina's version and what it runs on; `architecture` in Go's words, such as amd64."""

    version: str
    kernel: str
    architecture: str


@dataclass(frozen=True, slots=True)
class Machine:
    """The host. `memory` in bytes; `cgroup_version` "1" (hybrid too) or "2"."""

    name: str
    kernel: str
    system: str
    architecture: str
    go_architecture: str
    cpus: int
    memory: int
    cgroup_version: str
    security: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Info:
    """The engine at this moment. `warnings` tell what is missing on this machine, in sentences."""

    id: str
    version: str
    machine: Machine
    root: str
    driver: str
    driver_reason: str
    runtime: str
    runtime_version: str
    runtime_commit: str
    runtimes: tuple[str, ...]
    running: int = 0
    paused: int = 0
    stopped: int = 0
    images: int = 0
    live_restore: bool = True
    log_driver: str = "json-file"
    cdi_folders: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    pools: tuple[tuple[str, int], ...] = ()
    warnings: tuple[str, ...] = ()
    controllers: frozenset[str] = field(default_factory=frozenset)


def version() -> Version:
    """Return the version of this package, and of the machine's kernel."""
    return Version(__version__, platform.release(), Platform.host().architecture)


def info(rooms: Rooms, settings: EngineSettings, root: Path, identity: str, states: Sequence[str]) -> Info:
    """Return what an engine is at this moment; `states` are those of all its containers. Open the rooms for that."""
    runtime, (version, commit), lacking = _runtime(rooms, settings)
    available = controllers()
    return Info(
        id=identity,
        version=__version__,
        machine=machine(rooms.runtime.apparmor, remapped=bool(settings.userns_remap)),
        root=str(root),
        driver=rooms.snapshots.name,
        driver_reason=rooms.snapshots.reason,
        runtime=runtime,
        runtime_version=version,
        runtime_commit=commit,
        runtimes=tuple(dict.fromkeys((runtime, *settings.runtimes))),
        running=sum(status in ("running", "restarting") for status in states),
        paused=states.count("paused"),
        stopped=sum(status not in ("running", "restarting", "paused") for status in states),
        images=len(rooms.images.list(all=True)),
        live_restore=settings.live_restore,
        log_driver=settings.containers.log.type,
        cdi_folders=settings.containers.cdi_folders,
        mirrors=settings.registry_mirrors,
        insecure_registries=settings.insecure_registries,
        labels=settings.labels,
        pools=tuple(whole_pools(settings.networks.pools, identity)),
        warnings=(*missing(available), *lacking),
        controllers=available,
    )


def _runtime(rooms: Rooms, settings: EngineSettings) -> tuple[str, tuple[str, str], tuple[str, ...]]:
    """Return the OCI runtime's name, its version and commit, and a warning where no runtime is installed."""
    try:
        program = rooms.runtime.program
    except Unavailable as error:
        return settings.runtime or "", ("", ""), (f"WARNING: No container can run: {error}",)
    return program.name, version_of(program.path), ()


def machine(apparmor: AppArmor, *, remapped: bool = False) -> Machine:
    """Return what this machine is. `remapped` says that containers have users of their own."""
    named = platform.uname()
    return Machine(
        name=named.node,
        kernel=named.release,
        system=_system(),
        architecture=named.machine,
        go_architecture=Platform.host().architecture,
        cpus=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        cgroup_version="2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "1",
        security=_security(apparmor, remapped),
    )


def controllers() -> frozenset[str]:
    """Return names of the cgroup controllers that are enabled."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        return frozenset(unified.read_text().split())
    lines = Path("/proc/cgroups").read_text().splitlines()[1:]
    return frozenset(words[0] for line in lines if (words := line.split())[3] == "1")


def missing(available: frozenset[str]) -> tuple[str, ...]:
    """Return warnings about limits that cannot be kept here, in Docker's words."""
    limits_of = {"memory": "memory limit", "cpu": "cpu cfs quota", "cpuset": "cpuset", "pids": "pids limit"}
    return tuple(f"WARNING: No {what} support" for name, what in limits_of.items() if name not in available)


def _system() -> str:
    try:
        return str(platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"))
    except OSError:
        return "Linux"


def _security(apparmor: AppArmor, remapped: bool) -> tuple[str, ...]:
    """Return what containers are confined by here, in Docker's words."""
    options = ["name=apparmor"] if apparmor.in_force else []
    if Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        options.append("name=seccomp,profile=builtin")
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        options.append("name=cgroupns")
    if remapped:
        options.append("name=userns")
    return tuple(options)


@cache
def version_of(program: str) -> tuple[str, str]:
    """Return the version that a runtime program has, and the commit it was built from; "" for what it does not say."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "", ""
    version = re.search(r"^\S+ version (\S+)", done.stdout)
    commit = re.search(r"^commit: (\S+)", done.stdout, re.MULTILINE)
    return version[1] if version else "", commit[1] if commit else ""
