"""The engine: the rooms put together over one data root."""

from __future__ import annotations

import dataclasses
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from lamina.cancellation import NEVER, Cancellation
from lamina.containers.catalog import Catalog
from lamina.containers.containers import Containers
from lamina.engine.builds import Builds
from lamina.engine.event_feed import feed
from lamina.engine.explored_containers import ContainerOpener
from lamina.engine.info import Info, Version, info, version
from lamina.engine.registries import Registries
from lamina.engine.settings import EngineSettings, default_exec_root
from lamina.errors import LaminaError, Unsupported
from lamina.events import Event, EventBus
from lamina.explorer.explorer import Explorer
from lamina.explorer.remote.remote_image import RemoteOpener
from lamina.formats.digest import Digest
from lamina.formats.matching import Filters
from lamina.images.image import ImageUser
from lamina.images.images import Images
from lamina.linux.files import private_directory
from lamina.linux.user_namespaces import UserNamespace, sweep_user_namespaces
from lamina.network.networks import Networks
from lamina.runtime.runtime import Runtime
from lamina.snapshots.choose import check_idmapped, open_driver
from lamina.snapshots.driver import Driver
from lamina.store.store import Dependents, Store
from lamina.volumes.volumes import Volumes

_log = logging.getLogger(__name__)
_ENGINE = "engine"  # the bucket of what the engine remembers of itself


class Closable(Protocol):
    """A room that holds something open."""

    def close(self) -> None:
        """Give back what the room holds."""


R = TypeVar("R", bound=Closable)


class Lazy(Generic[R]):
    """Opens one room, once. Thread-safe; whoever asks while another thread opens the room waits for it.

    The room is closed by `closing`, after the rooms that were opened later. When opening fails, the next call tries
    again.

        networks = Lazy(open_networks, closing)
        networks().list()
    """

    def __init__(self, open: Callable[[], R], closing: ExitStack) -> None:
        self._open = open
        self._closing = closing
        self._lock = threading.RLock()
        self.room: R | None = None  # None until it is open
        self.begun = False  # it is open, or a thread is opening it

    def __call__(self) -> R:
        """Return the room, and open it first where it is not open yet."""
        if self.room is not None:  # without the lock: the threads of a room that is being opened use the others
            return self.room
        with self._lock:
            if self.room is None:
                self.begun = True
                try:
                    self.room = self._open()
                except BaseException:
                    self.begun = False
                    raise
                self._closing.callback(self.room.close)
            return self.room


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What takes the disk, in bytes: all layers, containers by ID, volumes by name, what the explorer fetched."""

    layers_size: int
    containers: Mapping[str, int]
    volumes: Mapping[str, int]
    remote_layers: Mapping[str, int]


class Engine:
    """Images, builds and containers over the data root `root`, which belongs to one Engine at a time.

        with Engine("/var/lib/mine") as engine:
            image = engine.builds.build("my-app").image

    Its rooms are `images`, `explorer`, `builds`, `registries`, `volumes`, `networks` and `containers`. Those that need
    privileges (networks, containers) open when they are first used, so a program that only handles images needs none.
    `close` may be called twice. Raises Conflict where another Engine has `root`.
    """

    def __init__(
        self, root: str | Path, exec_root: str | Path | None = None, *, settings: EngineSettings | None = None
    ) -> None:
        self.root = Path(root).absolute()
        self.exec_root = Path(exec_root).absolute() if exec_root else default_exec_root(self.root)
        self.settings = settings or EngineSettings()
        self._defaults = self.settings.container_defaults(self.exec_root)
        self.bus = EventBus()
        self._closing = ExitStack()
        self._snapshots = Lazy(self._open_snapshots, self._closing)
        self._networks = Lazy(self._open_networks, self._closing)
        self._runtime = Lazy(self._open_runtime, self._closing)
        self._containers = Lazy(self._open_containers, self._closing)
        self.store = Store.open(self.root, dependents=_Dependents(self._snapshots, self._forget_lost_steps))
        self._closing.callback(self.store.close)
        self._closing.callback(self._remove_unused_exec_root)
        userns = self._defaults.userns
        sweep_user_namespaces(self.exec_root / "users", userns)
        if userns is not None:
            self._closing.callback(self._remove_unused, userns)
        self._catalog = Catalog(self.store, self.root / "containers", self.bus, userns)
        self.images = Images(self.store, self.bus, self._image_users)
        owner = userns.ids.root if userns else None
        self.volumes = Volumes.open(
            self.store, self.root / "volumes", events=self.bus, users=self._volume_users, owner=owner
        )
        self.registries = Registries(self.store, self.images, self.settings.registries())
        containers = ContainerOpener(self._recovered_catalog, self.images, self._snapshots, self.root / "temporary")
        self._remote = RemoteOpener(self.store, self.registries.client_for, self.root / "explorer")
        self.explorer = Explorer(self.images, {"container": containers, "registry": self._remote})
        folders = (self.root / "temporary", self.root / "build-mounts")
        self.builds = Builds(
            self, self.registries, self._defaults, *folders, side=self, limits=self.settings.build_cache
        )
        self.builds.sweep_files()
        self.builds.sweep_failed()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def start(self) -> None:
        """Open what a daemon needs for its containers, and take up those that outlived an earlier engine.

        Without root nothing happens: images and builds without RUN work all the same.
        """
        if os.geteuid() == 0:
            self.builds.sweep()
            running = {container.id for container in self.containers.list()}
            self.networks.sweep(running)

    def close(self) -> None:
        """Close the rooms, the last one opened first. Running containers stay."""
        self._closing.close()

    @property
    def containers(self) -> Containers:
        """Return the containers, with those that outlived an earlier engine. Needs root."""
        return self._containers()

    @property
    def networks(self) -> Networks:
        """Return the networks. Needs root."""
        return self._networks()

    @property
    def snapshots(self) -> Driver:
        """Return the driver of snapshots."""
        return self._snapshots()

    @property
    def runtime(self) -> Runtime:
        """Return the OCI runtime. Raise Unavailable where none is installed."""
        return self._runtime()

    def version(self) -> Version:
        """Return the version of lamina; `info` has that of the OCI runtime."""
        return version()

    def info(self) -> Info:
        """Return what this engine and its machine are, at this moment."""
        states = [container.state for container in self.containers.list(all=True)]
        return info(self, self.settings, self.root, self._identity, states)

    def disk_usage(self, types: Sequence[str] = ()) -> DiskUsage:
        """Return what takes the disk: all of it, or of `types` (image, container, volume, build-cache).

        Every file of the containers and volumes is looked at, so this takes its time.
        """
        layers = self.images.usage().layers_size if not types or "image" in types else 0
        containers = self.containers.usage() if not types or "container" in types else {}
        volumes = self.volumes.list() if not types or "volume" in types else []
        sizes = {volume.name: self.volumes.usage(volume) for volume in volumes}
        return DiskUsage(layers, containers, sizes, self.remote_layers() if not types or "image" in types else {})

    def remote_layers(self) -> Mapping[str, int]:
        """Return the bytes that the explorer keeps of each layer at a registry, by a name of it."""
        return self._remote.kept_sizes()

    def events(
        self,
        *,
        since: str = "",
        until: str = "",
        filters: Filters | None = None,
        cancellation: Cancellation = NEVER,
    ) -> Iterator[Event]:
        """Return what happens from now on, or from `since`, up to `until`, or without end.

        Times are RFC 3339, Unix seconds or a span back from now ("10m"). `filters` are Docker's: type, event, label,
        scope, and the kinds of objects. Raise InvalidInput for others. The iterator raises Cancelled.
        """
        return feed(self.bus, since, until, filters or {}, cancellation)

    @cached_property
    def _identity(self) -> str:
        """Return a name for this data root, made once."""
        with self.store.transaction() as change:
            identity = change.get(_ENGINE, "id")
            if identity is None:
                identity = secrets.token_hex(16).encode()
                change.put(_ENGINE, "id", identity)
        return identity.decode()

    def _image_users(self, image_id: Digest) -> Sequence[ImageUser]:
        return self._recovered_catalog().image_users(image_id)

    def _volume_users(self, name: str) -> Sequence[str]:
        return self._recovered_catalog().volume_users(name)

    def _recovered_catalog(self) -> Catalog:
        """Return the containers' records, which opening the containers has brought up to date after a crash.

        While the containers are being opened, return the records as they are.
        """
        if not self._containers.begun and self._catalog.all():
            self._containers()
        return self._catalog

    def _forget_lost_steps(self) -> None:
        self.builds.forget_lost()

    def _open_snapshots(self) -> Driver:
        driver = open_driver(self.root / "snapshots", self.settings.storage_driver)
        if self._defaults.userns is not None:
            self._make_exec_root()
            check_idmapped(driver, self.root / "snapshots", self._defaults.userns)
        driver.collect()
        return driver

    def _open_networks(self) -> Networks:
        settings = self.settings
        if os.geteuid() != 0:
            advice = "Images, and builds without RUN, need no privilege"
            raise Unsupported("networks of containers need root, which this engine has not", advice=advice)
        self._make_exec_root()
        network_settings = dataclasses.replace(settings.networks, identity=self._identity)
        return Networks.open(self.store, self.exec_root, network_settings, self.bus)

    def _open_runtime(self) -> Runtime:
        self._make_exec_root()
        runtime = Runtime(self.exec_root / "tasks", self.settings.runtime)
        if self.exec_root == default_exec_root(self.root):
            self._closing.callback(runtime.forget)  # nobody may ever come back to it
        return runtime

    def _open_containers(self) -> Containers:
        return Containers(self, self._catalog, self._defaults)

    def _remove_unused(self, userns: UserNamespace) -> None:
        """Let go of the user namespace, unless containers run, which others may still want to share."""
        if not any(container.state.running for container in self._catalog.all()):
            userns.remove()

    def _make_exec_root(self) -> None:
        """Make the exec root. Others may not list it but pass through it to the API's socket, which has a group."""
        private_directory(self.exec_root, 0o711)

    def _remove_unused_exec_root(self) -> None:
        """Remove empty folders. Running containers and sockets keep theirs."""
        own = [self.exec_root] if self.exec_root == default_exec_root(self.root) else []
        for folder in [*self.exec_root.glob("*/"), *own]:
            with suppress(OSError):  # it is in use, or was never made
                folder.rmdir()


class _Dependents(Dependents):
    """Snapshots and the build cache keep files and steps for layers and images in the store."""

    def __init__(self, snapshots: Lazy[Driver], forget_lost_steps: Callable[[], None]) -> None:
        self._snapshots = snapshots
        self._forget_lost_steps = forget_lost_steps

    def flush(self) -> None:
        if self._snapshots.room is not None:
            self._snapshots.room.sync()

    def tidy(self) -> None:
        if self._snapshots.room is not None:  # else they are tidied when they are opened
            try:
                self._snapshots.room.collect()
            except (LaminaError, OSError) as error:  # what was asked for is done; the next prune tries again
                _log.warning("what snapshots kept of removed layers is still there: %s", error)

    def collect(self) -> None:
        self._forget_lost_steps()
        self.tidy()
