"""What a sandbox is made from: its mounts, and what applies where a request leaves something open."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lamina.api.containers import LogConfig, Ulimit

DEFAULT_SHM = 64 << 20  # bytes
DEFAULT_CGROUP = "/lamina"


class MountPoint(msgspec.Struct, frozen=True, rename="pascal"):
    """A mount as it was worked out at creation. `source` is a host path; for volumes it is found by `name`.

    `implied_slave` marks a propagation that nobody asked for, and that a source which cannot propagate goes without.
    A read-only bind covers what is mounted below it where the kernel can; `read_only_non_recursive` leaves that out,
    `read_only_force_recursive` insists on it.
    """

    type: str
    destination: str
    source: str = ""
    name: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = msgspec.field(name="RW", default=True)
    propagation: str = ""
    implied_slave: bool = False
    recursive: bool = True
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False
    copy: bool = False
    create_source: bool = False
    options: tuple[str, ...] = ()
    subpath: str = ""
    anonymous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What containers get where they do not say otherwise. Sizes in bytes. `runtimes` are further names of the
    engine's OCI runtime."""

    log: LogConfig = field(default_factory=lambda: LogConfig(type="json-file"))
    shm_size: int = DEFAULT_SHM
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = DEFAULT_CGROUP
    init: bool = False
    init_path: str = ""
    ipc_mode: str = "private"
    runtimes: tuple[str, ...] = ()
    host_resolv_conf: Path = Path("/etc/resolv.conf")
