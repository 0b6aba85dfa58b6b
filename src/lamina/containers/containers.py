"""The containers of one engine: everything people do with them, each verb one short composition."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO

from lamina.api.containers import Config, EndpointConfig, ExecConfig, HostConfig, NetworkingConfig, UpdateConfig
from lamina.cancellation import NEVER, Cancellation, CheckedReader
from lamina.containers import archive, logs, top
from lamina.containers import stop as stopping
from lamina.containers.archive import PathStat
from lamina.containers.attach import AttachOptions, attach
from lamina.containers.catalog import Catalog, check_name
from lamina.containers.commit import commit
from lamina.containers.container import Container, WaitResult
from lamina.containers.create import Created, Creator
from lamina.containers.execs import ExecDetails, Execs
from lamina.containers.filters import Pruned, prune, select
from lamina.containers.inspect import ContainerDetails, ContainerSummary, details, summary
from lamina.containers.lifecycle import Lifecycle
from lamina.containers.logs import LogOptions, LogRecord
from lamina.containers.recovery import recover
from lamina.containers.rooms import Rooms
from lamina.containers.specs import SpecMaker
from lamina.containers.statistics import ContainerStats, statistics
from lamina.containers.top import Processes
from lamina.containers.update import connect, disconnect, update
from lamina.errors import InvalidInput, NotFound, NotModified
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.formats.runconfig import RunConfig
from lamina.images.create import CommitOptions
from lamina.images.image import Image
from lamina.layers.diff import Change
from lamina.linux.files import private_directory
from lamina.sandbox.spec import Defaults

__all__ = ["Container", "Containers", "Created", "LogOptions", "LogRecord", "WaitResult"]


class Containers:
    """The containers of one engine. Thread-safe. References are names, IDs or beginnings of IDs.

        id = engine.containers.create("web", Config(image="nginx")).id
        engine.containers.start(id)

    Every verb raises NotFound for an unknown container. Opening takes over the containers of an earlier engine.
    """

    def __init__(self, rooms: Rooms, catalog: Catalog, defaults: Defaults | None = None) -> None:
        private_directory(catalog.root)
        self._rooms = rooms
        self._catalog = catalog
        chosen = defaults or Defaults()
        self._creator = Creator(rooms, catalog, chosen)
        self._lifecycle = Lifecycle(rooms, catalog, chosen)
        self._execs = Execs(SpecMaker(chosen))
        recover(self._lifecycle, catalog, rooms)

    def close(self) -> None:
        """Let running containers be, and end the starts that hang. May be called twice."""
        self._execs.close()
        self._lifecycle.close()

    def create(
        self,
        name: str | None,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
        platform: Platform | None = None,
        *,
        recursive_read_only: bool = True,
    ) -> Created:
        """Make a container; with None for a name it gets a random one. It does not run yet.

        Read-only binds cover what is mounted below them, unless they say otherwise or `recursive_read_only` is false.
        Raises NotFound for a missing image, Conflict for a name in use, InvalidInput, NoSpace.
        """
        host, networks = host_config or HostConfig(), networking or NetworkingConfig()
        created = self._creator.create(name, config, host, networks, platform, recursive_read_only=recursive_read_only)
        self._catalog.get(created.id).publish("create")
        return created

    def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container; with `force` a running one, with `volumes` also its anonymous volumes.

        Raises Conflict for a running one without `force`.
        """
        container = self.get(reference)
        self._lifecycle.remove(container, force=force, volumes=volumes)
        self._execs.forget(container)

    def rename(self, reference: str, name: str) -> None:
        """Give a container another name. Raises Conflict for a name in use, InvalidInput."""
        container = self.get(reference)
        with container.lock:
            old, new = container.name, check_name(name)
            if new == old:
                raise InvalidInput("Renaming a container with the same name as its current name")
            self._catalog.rename(container, new)
        container.publish("rename", oldName=f"/{old}")

    def prune(
        self, filters: Mapping[str, Sequence[str]] | None = None, *, cancellation: Cancellation = NEVER
    ) -> Pruned:
        """Remove containers that do not run and pass the filters. Raises Cancelled before the next container."""
        return prune(self._catalog, self._rooms, self._lifecycle, filters or {}, cancellation)

    def get(self, reference: str) -> Container:
        """Return the container. Raises NotFound, InvalidInput where several IDs begin so."""
        return self._catalog.get(reference)

    def list(
        self, *, all: bool = False, limit: int = 0, filters: Mapping[str, Sequence[str]] | None = None
    ) -> list[Container]:
        """Return the containers that pass the filters, newest first.

        Only running ones, unless `all`, `limit` or a filter on state says otherwise. Raises InvalidInput for an unknown
        filter or value, NotFound for the container that `before` or `since` names.
        """
        return select(self._catalog, self._rooms, filters or {}, all=all, limit=limit)

    def summary(self, container: Container, *, size: bool = False) -> ContainerSummary:
        """Return what a list shows of a container; with `size` also the bytes of its files."""
        return summary(container, self._rooms, size=size)

    def inspect(self, reference: str, *, size: bool = False) -> ContainerDetails:
        """Return what is known of a container; with `size` also the bytes of its files."""
        container = self.get(reference)
        return details(container, self._rooms, self._execs.of(container), size=size)

    def top(self, reference: str, ps_args: str = "") -> Processes:
        """Return the container's processes as ps(1) shows them."""
        container = self.get(reference)
        processes = top.top(container, ps_args)
        container.publish("top")
        return processes

    def stats(self, reference: str) -> ContainerStats:
        """Return one reading of what the container uses."""
        return statistics(self.get(reference))

    def usage(self) -> Mapping[str, int]:
        """Return the bytes of the files that each container changed, by the container's ID."""
        sizes: dict[str, int] = {}
        for container in self._catalog.all():
            with suppress(NotFound):  # it is removed just now
                sizes[container.id] = self._rooms.snapshots.get(container.id).usage()
        return sizes

    def changes(self, reference: str) -> Iterator[Change]:
        """Return what the container changed in its image's files."""
        return self._rooms.snapshots.get(self.get(reference).id).changes()

    def start(self, reference: str) -> None:
        """Start a container.

        Raises NotModified when it runs, Conflict when it is paused or being removed, and CommandFailed or another kind
        when its command cannot be run; `facts["exit_code"]` is 126, 127 or 128 then.
        """
        self._lifecycle.start(self.get(reference))

    def stop(self, reference: str, timeout: int | None = None, signal: str = "") -> None:
        """Send the stop signal, and SIGKILL after `timeout` seconds (-1: never); return when the container has ended.

        Raises NotModified when it was stopped, Unavailable when it survives SIGKILL.
        """
        if not stopping.stop(self.get(reference), timeout, signal):
            raise NotModified(f"container {reference} is not running")

    def restart(self, reference: str, timeout: int | None = None, signal: str = "") -> None:
        """Stop the container where it runs, and start it."""
        self._lifecycle.restart(self.get(reference), timeout, signal)

    def kill(self, reference: str, signal: str = "") -> None:
        """Send a signal; after SIGKILL, the default, wait for the end. Raises Conflict when it does not run."""
        stopping.kill(self.get(reference), stopping.parse_signal(signal))

    def pause(self, reference: str) -> None:
        """Stop the container's processes where they are. Raises Conflict when it does not run or is paused."""
        self._lifecycle.pause(self.get(reference))

    def unpause(self, reference: str) -> None:
        """Let a paused container go on. Raises Conflict when it is not paused."""
        self._lifecycle.unpause(self.get(reference))

    def stop_all(self, timeout: int) -> None:
        """Stop all at once, each with `timeout` seconds before it is killed. Then raise the first failure."""
        with ThreadPoolExecutor(16) as threads:
            stops = [threads.submit(self.stop, container.id, timeout) for container in self.list()]
        for stop in stops:
            with suppress(NotFound, NotModified):  # it has ended by itself meanwhile
                stop.result()

    def connect(self, reference: str, network: str, endpoint: EndpointConfig | None = None) -> None:
        """Let a container join a network, with what `endpoint` asks for. Raises Conflict, Forbidden, InvalidInput."""
        target = self._rooms.networks.get(network)
        connect(self.get(reference), self._rooms.networks, target, endpoint or EndpointConfig(), self.get)

    def disconnect(self, reference: str, network: str, *, force: bool = False) -> None:
        """Take a container, with `force` even one that is gone, out of a network. Raises Conflict when it is not in."""
        left = self._rooms.networks.get(network)
        try:
            disconnect(self.get(reference), self._rooms.networks, left, self.get)
        except NotFound:
            if not force:
                raise
            self._rooms.networks.leave(reference, left.id)

    def update(self, reference: str, wish: UpdateConfig) -> tuple[str, ...]:
        """Change limits and restart policy, of a running container too. Return warnings."""
        container = self.get(reference)
        warnings = update(container, wish)
        container.publish("update")
        return warnings

    def wait(
        self, reference: str, condition: str = "not-running", *, cancellation: Cancellation = NEVER
    ) -> Future[WaitResult]:
        """Return a future that ends when the condition holds: not-running, next-exit or removed.

        `cancellation` cancels it. Raises InvalidInput for an unknown condition.
        """
        return self.get(reference).wait(condition or "not-running", cancellation)

    def attach(self, reference: str, options: AttachOptions | None = None) -> socket.socket:
        """Return a connection to the streams of a container that runs or has yet to start.

        Raises Conflict for one that is paused or restarting.
        """
        return attach(self.get(reference), self._lifecycle, options or AttachOptions())

    def resize(self, reference: str, height: int, width: int) -> None:
        """Set the size of the container's terminal, in characters. Raises Conflict when it does not run."""
        container = self.get(reference)
        container.running_task().resize(height, width)
        container.publish("resize", height=str(height), width=str(width))

    def logs(
        self, reference: str, options: LogOptions | None = None, *, cancellation: Cancellation = NEVER
    ) -> Iterator[LogRecord]:
        """Return what the container logged, oldest first. `cancellation` ends following, within half a second.

        Raises InvalidInput for a container that keeps no log.
        """
        container = self.get(reference)
        if container.record.host_config.log_config.type == "none":
            raise InvalidInput("configured logging driver does not support reading")

        def running() -> bool:
            return container.state.running and not container.removed

        return logs.read(container.log_path, options or LogOptions(), running, cancellation)

    def exec_create(self, reference: str, wish: ExecConfig) -> str:
        """Note a command to be run in a running container, and return the ID of this exec.

        Raises Conflict when the container does not run or is paused, InvalidInput.
        """
        return self._execs.create(self.get(reference), wish)

    def exec_start(
        self, exec_id: str, *, detach: bool = False, size: tuple[int, int] | None = None
    ) -> socket.socket | None:
        """Run an exec, and return a connection to its streams unless `detach`. Raises Conflict, CommandFailed."""
        return self._execs.start(exec_id, detach=detach, size=size)

    def exec_settle(self, exec_id: str, seconds: float) -> None:
        """Wait until an exec whose output has ended has ended too, at most so long."""
        self._execs.settle(exec_id, seconds)

    def exec_inspect(self, exec_id: str) -> ExecDetails:
        """Return an exec as it is now. Raises NotFound."""
        return self._execs.inspect(exec_id)

    def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        """Set the size of an exec's terminal, in characters. Raises Conflict when it does not run."""
        self._execs.resize(exec_id, height, width)

    def commit(
        self,
        reference: str,
        name: Reference | None = None,
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        config: RunConfig | None = None,
        pause: bool = True,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """Make an image of what a container changed; `config` and `changes` say what shall be different about it.

        A running container is paused meanwhile, unless `pause` is false. Raises InvalidInput for a bad change, NoSpace,
        Cancelled.
        """
        container = self.get(reference)
        options = CommitOptions(
            container=container.record.config,
            config=config,
            changes=tuple(changes),
            author=author,
            message=message,
            references=(name,) if name else (),
            extra={"container": container.id},
        )
        return commit(container, self._rooms, self._lifecycle, options, still=pause, cancellation=cancellation)

    def stat_path(self, reference: str, path: str) -> PathStat:
        """Return what is at a path of the container. Raises NotFound."""
        return archive.stat_path(self.get(reference), self._rooms, path)

    def get_archive(self, reference: str, path: str, sink: BinaryIO, *, cancellation: Cancellation = NEVER) -> None:
        """Write the file or directory at `path` to `sink`, as a tar. Raises NotFound, Cancelled."""
        container = self.get(reference)
        archive.get_archive(container, self._rooms, path, sink, cancellation)
        container.publish("archive-path")

    def put_archive(
        self,
        reference: str,
        path: str,
        stream: BinaryIO,
        *,
        no_overwrite: bool = False,
        copy_owner: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> None:
        """Unpack a tar in the directory at `path`. Raises NotFound, InvalidInput, NoSpace, Cancelled."""
        container, source = self.get(reference), CheckedReader(stream, cancellation)
        archive.put_archive(container, self._rooms, path, source, no_overwrite=no_overwrite, copy_owner=copy_owner)
        container.publish("extract-to-dir")

    def export(self, reference: str, sink: BinaryIO, *, cancellation: Cancellation = NEVER) -> None:
        """Write the container's whole file system as a tar, without what is mounted in it."""
        container = self.get(reference)
        archive.export(container, self._rooms, sink, cancellation)
        container.publish("export")
