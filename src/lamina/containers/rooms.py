"""What containers need of the rest of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lamina.api.containers import LogConfig, Ulimit
from lamina.events import EventBus
from lamina.images.images import Images
from lamina.network.networks import Networks
from lamina.runtime.runtime import Runtime
from lamina.snapshots.driver import Driver
from lamina.store.store import Store
from lamina.volumes.volumes import Volumes

DEFAULT_SHM = 64 << 20  # bytes
DEFAULT_CGROUP = "/lamina"


class Rooms(Protocol):
    """The rooms that containers are put together from. They may open when first asked for."""

    @property
    def store(self) -> Store: ...
    @property
    def events(self) -> EventBus: ...
    @property
    def images(self) -> Images: ...
    @property
    def volumes(self) -> Volumes: ...
    @property
    def snapshots(self) -> Driver: ...
    @property
    def networks(self) -> Networks: ...
    @property
    def runtime(self) -> Runtime: ...


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
