"""The engine: one data root, all rooms, and the verbs that need several of them."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeVar, cast

from lamina import __version__
from lamina.api.containers import EndpointConfig
from lamina.builder.context.source import BuildContext
from lamina.builder.download import download
from lamina.builder.options import BuildOptions, BuildResult
from lamina.cancellation import NEVER, Cancellation
from lamina.containers.catalog import BUCKET as CONTAINERS
from lamina.containers.containers import Containers
from lamina.distribution import Credentials, Found
from lamina.distribution.answers import without_secrets
from lamina.distribution.inspect import Inspected
from lamina.engine import joining
from lamina.engine.builds import Builds
from lamina.engine.committing import commit
from lamina.engine.facts import Info, info
from lamina.engine.registries import Registries
from lamina.engine.settings import EngineSettings, default_exec_root
from lamina.engine.usage import DiskUsage, disk_usage
from lamina.errors import LaminaError, NotFound, NotModified, Unavailable, Unsupported
from lamina.events import EventBus
from lamina.formats.digest import Digest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.formats.runconfig import RunConfig
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.images.remove import ImageUser
from lamina.linux.privacy import private_directory
from lamina.network.networks import Networks
from lamina.progress import Report, Status, ignore
from lamina.runtime.runtime import Runtime
from lamina.snapshots.choose import open_driver
from lamina.snapshots.driver import Driver
from lamina.store.collect import Collected
from lamina.store.store import Store
from lamina.volumes.volumes import Volumes

T = TypeVar("T")

_log = logging.getLogger(__name__)
_ENGINE = "engine"  # the bucket of what the engine remembers of itself


class Engine:
    """Images, builds and containers over the data root `root`, which belongs to one Engine at a time.

    A context manager; `close` may be called twice. Rooms that need privileges (networks, containers) open when they
    are first used, so a program that only handles images needs none. Raises Conflict where another Engine has `root`.
    """

    def __init__(
        self, root: str | Path, exec_root: str | Path | None = None, *, settings: EngineSettings | None = None
    ) -> None:
        self.root = Path(root).absolute()
        self.exec_root = Path(exec_root).absolute() if exec_root else default_exec_root(self.root)
        self.settings = settings or EngineSettings()
        self.events = EventBus()
        self._closing = ExitStack()
        self._opening = threading.RLock()
        self._rooms: dict[str, Any] = {}
        self.store = Store.open(self.root)
        self._closing.callback(self.store.close)
        self._closing.callback(self._remove_unused_exec_root)
        self.images = Images(self.store, self.events)
        self.images.users = self._image_users
        self.volumes = Volumes.open(self.store, self.root / "volumes", events=self.events)
        self.volumes.users = self._volume_users
        self.registries = Registries(self.store, self.images, self.settings.registries())
        self.temporary = self.root / "temporary"
        private_directory(self.temporary)
        self.builds = Builds(self, self.registries, self.temporary, self.root / "build-mounts")
        self.builds.sweep_files()
        self.store.on_dropped = self._tidy_layers
        self.store.on_collected = self._tidy

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Opens what a daemon needs for its containers, and takes up those that outlived an earlier engine.

        Without root nothing happens: images and builds without RUN work all the same.
        """
        if os.geteuid() == 0:
            self.builds.sweep()
            running = {c.id for c in self.containers.list()}
            self.networks.sweep(running)

    def stop_containers(self, timeout: int) -> None:
        """Stops all that run, at once, each with `timeout` seconds before it is killed.

        All of them are tried; then what went wrong first is raised.
        """
        with ThreadPoolExecutor(16) as threads:
            stops = [threads.submit(self.containers.stop, found.id, timeout) for found in self.containers.list()]
        for stop in stops:
            with suppress(NotFound, NotModified):  # it has ended by itself meanwhile
                stop.result()

    def _tidy(self) -> None:
        """After a prune: lets other rooms drop what they keep of images that are gone."""
        self.builds.forget_lost()
        self._tidy_layers()

    def _tidy_layers(self) -> None:
        if "snapshots" in self._rooms:  # else they are tidied when they are opened
            try:
                self.snapshots.collect()
            except (LaminaError, OSError) as error:  # what was asked for is done; the next prune tries again
                _log.warning("what snapshots kept of removed layers is still there: %s", error)

    def close(self) -> None:
        """Lets go of everything; running containers stay."""
        self._closing.close()

    @property
    def snapshots(self) -> Driver:
        """The driver of snapshots; opened when it is first asked for, as the three below."""
        return self._room("snapshots", self._open_snapshots)

    @property
    def networks(self) -> Networks:
        """The networks. Needs root."""
        return self._room("networks", self._open_networks)

    @property
    def runtime(self) -> Runtime:
        """The OCI runtime. Raises Unavailable where none is installed."""
        return self._room("runtime", self._open_runtime)

    @property
    def containers(self) -> Containers:
        """The containers, with those that outlived an earlier engine. Needs root."""
        return self._room("containers", self._open_containers)

    def _room(self, name: str, make: Callable[[], T]) -> T:
        """The room of that name, made when it is first asked for; closed in the opposite order.

        One that is open is given without the lock: while the containers open, they start what is due, and the threads
        that help them with it need the other rooms.
        """
        known: T | None = self._rooms.get(name)
        if known is not None:
            return known
        with self._opening:
            if name not in self._rooms:
                room: Any = make()
                self._rooms[name] = room
                self._closing.callback(room.close)
            found: T = self._rooms[name]
        return found

    def _open_snapshots(self) -> Driver:
        driver = open_driver(self.root / "snapshots", self.settings.storage_driver)
        driver.collect()
        self.store.on_sync(driver.sync)
        return driver

    def _open_networks(self) -> Networks:
        given = self.settings
        if os.geteuid() != 0:
            advice = "Images, and builds without RUN, need no privilege"
            raise Unsupported("networks of containers need root, which this engine has not", advice=advice)
        self._make_exec_root()
        return Networks.open(
            self.store, self.exec_root, given.bip, bridge=given.bridge, pools=given.pools, events=self.events
        )

    def _open_runtime(self) -> Runtime:
        self._make_exec_root()
        runtime = Runtime(self.exec_root / "tasks", self.settings.runtime)
        if self.exec_root == default_exec_root(self.root):
            self._closing.callback(runtime.forget)  # nobody may ever come back to it
        return runtime

    def _make_exec_root(self) -> None:
        """Others may pass through it, not list it: the API's socket, which has a group, is in it by default."""
        private_directory(self.exec_root, 0o711)

    def _remove_unused_exec_root(self) -> None:
        """Remove the folders that nothing is left in: running containers, and sockets, keep theirs."""
        own = [self.exec_root] if self.exec_root == default_exec_root(self.root) else []
        for folder in [*self.exec_root.glob("*/"), *own]:
            with suppress(OSError):  # it is in use, or was never made
                folder.rmdir()

    def _open_containers(self) -> Containers:
        return Containers(self, self.root / "containers", self.settings.containers)

    def _image_users(self, image_id: Digest) -> Sequence[ImageUser]:
        """Until the containers are open."""
        return self.images.users(image_id) if self._opened_containers() else ()

    def _volume_users(self, name: str) -> Sequence[str]:
        """Until the containers are open."""
        return self.volumes.users(name) if self._opened_containers() else ()

    def _opened_containers(self) -> bool:
        """Open, they answer for themselves whose they use. Where there are none, they need not be."""
        with self.store.read() as view:
            if not any(True for _ in view.items(CONTAINERS)):
                return False
        self.containers.list()
        return True

    # containers

    def commit(
        self,
        container: str,
        reference: Reference | None = None,
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        config: RunConfig | None = None,
        pause: bool = True,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """An image of what a container changed. See `lamina.engine.committing.commit`; publishes `commit`."""
        found = self.containers.get(container)
        image = commit(
            self.containers,
            self.images,
            self.snapshots,
            found,
            reference=reference,
            author=author,
            message=message,
            changes=changes,
            config=config,
            pause=pause,
            cancellation=cancellation,
        )
        record = found.record
        known = {**record.config.labels, "image": record.config.image, "name": record.name}
        self.events.publish("container", "commit", record.id, {**known, "imageID": str(image.id)})
        return image

    def connect(self, network: str, container: str, wanted: EndpointConfig | None = None) -> None:
        """See `lamina.engine.joining.connect`."""
        found, place = self.networks.get(network), self.containers.get(container)
        joining.connect(self.networks, place, found, wanted or EndpointConfig())

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        """See `lamina.engine.joining.disconnect`. With `force` a sandbox is put out even if no container has it."""
        found = self.networks.get(network)
        try:
            joining.disconnect(self.networks, self.containers.get(container), found)
        except NotFound:
            if not force:
                raise
            self.networks.leave(container, found.id)

    # images and registries

    def pull(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        credentials: Credentials | None = None,
        all_tags: bool = False,
        all_platforms: bool = False,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> Sequence[Image]:
        """See `Registries.pull`."""
        return self.registries.pull(
            reference,
            platform=platform,
            credentials=credentials,
            all_tags=all_tags,
            all_platforms=all_platforms,
            report=report,
            cancellation=cancellation,
        )

    def push(
        self,
        reference: Reference,
        *,
        credentials: Credentials | None = None,
        all_tags: bool = False,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> None:
        """See `Registries.push`."""
        self.registries.push(
            reference, credentials=credentials, all_tags=all_tags, report=report, cancellation=cancellation
        )

    def search(self, term: str, *, limit: int = 25, credentials: Credentials | None = None) -> Sequence[Found]:
        """See `Registries.search`."""
        return self.registries.search(term, limit=limit, credentials=credentials)

    def inspect_remote(self, reference: Reference, *, credentials: Credentials | None = None) -> Inspected:
        """See `Registries.inspect`."""
        return self.registries.inspect(reference, credentials=credentials)

    def login(self, server: str, credentials: Credentials) -> Credentials:
        """See `Registries.login`."""
        return self.registries.login(server, credentials)

    def import_url(
        self,
        url: str,
        reference: Reference | None,
        *,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
        **options: Any,
    ) -> Image:
        """`images.import_tar` of what `url` gives. Raises NotFound, Unavailable, Cancelled."""
        report(Status(f"Downloading from {url}"))
        options.setdefault("message", f"Imported from {url}")
        try:
            with download(url, cancellation) as answer:
                return self.images.import_tar(cast(BinaryIO, answer), reference, cancellation=cancellation, **options)
        except (NotFound, Unavailable) as error:
            message = f"cannot fetch {without_secrets(url)}: {error.message}"
            raise type(error)(message, advice=error.advice, **error.facts) from error

    # builds

    def build(
        self,
        context: BuildContext | str | Path,
        options: BuildOptions | None = None,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        report: Report = ignore,
        cancellation: Cancellation = NEVER,
    ) -> BuildResult:
        """See `Builds.build`."""
        return self.builds.build(context, options, credentials=credentials, report=report, cancellation=cancellation)

    def remote_context(self, url: str, dockerfile: str = "", *, cancellation: Cancellation = NEVER) -> BuildContext:
        """See `Builds.remote_context`."""
        return self.builds.remote_context(url, dockerfile, cancellation=cancellation)

    def prune_build_cache(self, *, all: bool = False) -> Collected:
        """See `Builds.prune`."""
        return self.builds.prune(all=all)

    # the whole

    def version(self) -> str:
        """The version of lamina; `info` has that of the OCI runtime and of the machine's kernel."""
        return __version__

    def disk_usage(self) -> DiskUsage:
        """See `lamina.engine.usage.disk_usage`."""
        return disk_usage(self, self.containers.list(all=True))

    def info(self) -> Info:
        """What this engine and its machine are, at this moment."""
        states = [container.state.status for container in self.containers.list(all=True)]
        return info(self, self.settings, self.root, self._identity, states)

    @cached_property
    def _identity(self) -> str:
        """A name for this data root, made once."""
        with self.store.transaction() as change:
            known = change.get(_ENGINE, "id")
            if known is None:
                known = secrets.token_hex(16).encode()
                change.put(_ENGINE, "id", known)
        return known.decode()
