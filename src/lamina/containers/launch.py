"""Starting a container: its root, its volumes, its place in the networks, its process; and giving them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from lamina.api.containers import LogConfig
from lamina.containers import files, ports
from lamina.containers.container import Container
from lamina.containers.inside import ensure_directory
from lamina.containers.rooms import Rooms
from lamina.containers.specs import SpecMaker
from lamina.errors import InvalidInput, LaminaError, Unsupported
from lamina.formats.sizes import parse_size
from lamina.network.model import Endpoint, EndpointOptions
from lamina.runtime.process import ExitStatus
from lamina.runtime.runtime import LogSpec
from lamina.runtime.spec import ContainerSpec, Namespaces, ProcessSpec
from lamina.runtime.task import Task
from lamina.sandbox import mounts
from lamina.sandbox.spec import Defaults


class Watcher(Protocol):
    """Hears what happens to the processes of containers."""

    def ended(self, container: Container, status: ExitStatus) -> None:
        """Take the end of the container's process."""

    def out_of_memory(self, container: Container) -> None:
        """Note that the kernel killed a process of the container for want of memory."""


class Launcher:
    """Starts the processes of containers. Callers hold the container's lock."""

    def __init__(
        self,
        rooms: Rooms,
        defaults: Defaults,
        specs: SpecMaker,
        find: Callable[[str], Container],
    ) -> None:
        self._rooms = rooms
        self._defaults = defaults
        self._specs = specs
        self._find = find
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="lamina-join")

    def close(self) -> None:
        self._pool.shutdown()

    def prepare(self, container: Container, watcher: Watcher) -> Task:
        """Return the container's task with its monitor, not started: clients may attach to it."""
        if container.task is None:
            record = container.record
            outline = ContainerSpec(
                process=ProcessSpec(args=record.command, terminal=record.config.tty),
                namespaces=Namespaces(pid="private" if record.host_config.pid_mode in ("", "private") else "host"),
                cgroup_parent=record.host_config.cgroup_parent or self._defaults.cgroup_parent,
            )
            container.task = self._rooms.runtime.create(
                container.id,
                outline,
                None,
                log_spec(record.host_config.log_config, container.log_path),
                partial(watcher.ended, container),
                on_oom=partial(watcher.out_of_memory, container),
                stdin=record.config.open_stdin,
                stdin_once=record.config.stdin_once,
            )
        return container.task

    def launch(self, container: Container, watcher: Watcher) -> int:
        """Start the process, and return its ID on the host. After a failure nothing is held."""
        self._share_name(container)
        record = container.record
        mounts.clear_staged(container.directory)  # what an engine that died in the middle of a start left
        with ExitStack() as undo:
            undo.callback(self.release, container)
            self._specs.network(container)  # makes the sandbox, before two threads ask for it
            joining = self._pool.submit(self._join, container)
            try:
                task = self.prepare(container, watcher)
                root = self._root(container)
                spec = self._specs.container(container, root)
                self._working_directory(container, root)
                task.configure(spec, root)
            finally:
                endpoints = joining.result()
            if not record.host_config.network_mode.startswith("container:"):
                files.write(
                    container.directory, record, endpoints, self._linked(record.host_config.links), self._defaults
                )
            pid = task.start()
            undo.pop_all()
        mounts.clear_staged(container.directory)
        return pid

    def _share_name(self, container: Container) -> None:
        """Who shares a container's network has its names as well (moby initializeNetworking)."""
        kind, _, other = container.record.host_config.network_mode.partition(":")
        if kind == "container" and other:
            donor, own = self._find(other).record.config, container.record.config
            names = {"hostname": donor.hostname, "domainname": donor.domainname}
            if (own.hostname, own.domainname) != (donor.hostname, donor.domainname):
                container.change(config=msgspec.structs.replace(own, **names))

    def _root(self, container: Container) -> Path:
        snapshot = self._rooms.snapshots.get(container.id)
        if container.mounted:
            return snapshot.directories.merged
        root = snapshot.mount()
        container.mounted = True
        return root

    def _working_directory(self, container: Container, root: Path) -> None:
        """Docker makes the working directory where the image lacks it; not in what is mounted over it."""
        wanted = container.record.config.working_dir
        covered = any(f"{wanted}/".startswith(f"{m.destination}/") for m in container.record.mounts)
        if wanted and wanted != "/" and not covered:
            ensure_directory(root, wanted)

    def _join(self, container: Container) -> Sequence[Endpoint]:
        """Joins the container's networks; the published ports belong to the first."""
        record = container.record
        mode = record.host_config.network_mode
        if mode in ("host", "none") or mode.startswith("container:") or record.config.network_disabled:
            return ()
        networks = self._rooms.networks
        present = {endpoint.network for endpoint in networks.joined(container.id)}
        wanted = ports.wanted(record.config, record.host_config)
        for name, asked in record.networks.items():
            if name in present:
                continue
            options = EndpointOptions(
                ip=asked.ipam.ipv4_address,
                mac=asked.mac_address or record.config.mac_address,
                aliases=(*asked.aliases, container.id[:12]),
                ports=wanted,
            )
            networks.join(container.id, name, options)
            wanted = ()
        return networks.joined(container.id)

    def _linked(self, links: Sequence[str]) -> list[tuple[str, str]]:
        """Entries of hosts for `--link name:alias`."""
        found = []
        for link in links:
            name, _, alias = link.rpartition(":") if ":" in link else (link, "", link)
            other = self._find(name)
            addresses = [endpoint.ip for endpoint in self._rooms.networks.joined(other.id)]
            if not addresses:
                raise InvalidInput(f"Cannot link to a non running container: {name} AS {alias}", container=name)
            found.append((addresses[0], f"{alias} {other.record.config.hostname} {other.name}"))
        return found

    def release(self, container: Container) -> None:
        """Gives back all that an ended (or never started) process had. A second call does nothing."""
        task, container.task = container.task, None
        if task is not None:
            with suppress(LaminaError):  # its monitor may be gone; the rest is to be given back all the same
                task.delete()
        mode = container.record.host_config.network_mode
        if mode not in ("host", "none") and not mode.startswith("container:"):
            with suppress(Unsupported):  # without privilege it never joined one
                self._rooms.networks.leave(container.id)
        mounts.clear_staged(container.directory)
        for point in container.record.mounts:
            if point.type == "volume":
                self._rooms.volumes.unmount(point.name, container.id)
        if container.record.host_config.ipc_mode == "shareable":
            mounts.unmount_shared_memory(container.directory)
        if container.mounted:
            container.mounted = False
            self._rooms.snapshots.get(container.id).unmount()


def log_spec(config: LogConfig, path: Path) -> LogSpec | None:
    """Where output is logged, or None for no log. Raises InvalidInput for options it cannot read."""
    if config.type == "none":
        return None
    count = config.config.get("max-file", "1")
    if not count.isdigit() or int(count) < 1:
        raise InvalidInput(f"max-file: {count!r} is not a number of files", option="max-file")
    return LogSpec(str(path), _max_size(config.config.get("max-size", "0")), int(count))


def _max_size(text: str) -> int:
    """Return the bytes after which a log is rotated; 0 for never, which "-1" means too."""
    return 0 if text.strip() == "-1" else parse_size(text, "max-size")
