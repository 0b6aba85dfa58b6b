"""Starting a container: its sandbox, its root and its task, and giving them back."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from lamina.api.containers import LogConfig
from lamina.containers.container import Container
from lamina.containers.rooms import Rooms
from lamina.containers.specs import Get, donor_of, sandbox_of, startable_sandbox_of
from lamina.errors import InvalidInput
from lamina.formats.sizes import parse_size
from lamina.runtime.process import ExitStatus
from lamina.runtime.runtime import LogSpec
from lamina.runtime.task import Task
from lamina.sandbox.sandboxes import Sandboxes
from lamina.sandbox.spec import Defaults


class Watcher(Protocol):
    """Hears what happens to the processes of containers."""

    def ended(self, container: Container, status: ExitStatus) -> None:
        """Take the end of the container's process."""

    def out_of_memory(self, container: Container) -> None:
        """Note that the kernel killed a process of the container for want of memory."""


class Launcher:
    """Starts the sandboxes of containers. Callers hold the container's lock."""

    def __init__(self, rooms: Rooms, defaults: Defaults, find: Get) -> None:
        self._rooms = rooms
        self._sandboxes = Sandboxes(rooms, defaults)
        self._find = find

    def prepare(self, container: Container, watcher: Watcher) -> Task:
        """Return the container's task with its monitor, not started: clients may attach to it."""
        if container.task is None:
            container.task = self._sandboxes.create_task(
                sandbox_of(container),
                log_spec(container.record.host_config.log_config, container.log_path),
                partial(watcher.ended, container),
                partial(watcher.out_of_memory, container),
            )
        return container.task

    def launch(self, container: Container, watcher: Watcher) -> int:
        """Start the process, and return its ID on the host. After a failure nothing is held."""
        self._share_name(container)
        with ExitStack() as undo:
            undo.callback(self.release, container)
            spec = startable_sandbox_of(container, lambda: self._rooms.networks, self._find)
            pid = self._sandboxes.start(spec, lambda: (self.prepare(container, watcher), self._root(container)))
            undo.pop_all()
        return pid

    def _share_name(self, container: Container) -> None:
        """Give a container that shares another's network the names of that one (moby initializeNetworking)."""
        reference = donor_of(container.record.host_config.network_mode)
        if reference:
            donor, own = self._find(reference).record.config, container.record.config
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

    def release(self, container: Container) -> None:
        """Give back all that an ended (or never started) process had. A second call does nothing."""
        task, container.task = container.task, None
        self._sandboxes.release(sandbox_of(container), task)
        if container.mounted:
            container.mounted = False
            self._rooms.snapshots.get(container.id).unmount()


def log_spec(config: LogConfig, path: Path) -> LogSpec | None:
    """Return where output is logged, or None for no log. Raise InvalidInput for options that cannot be read."""
    if config.type == "none":
        return None
    count = config.config.get("max-file", "1")
    if not count.isdigit() or int(count) < 1:
        raise InvalidInput(f"max-file: {count!r} is not a number of files", option="max-file")
    return LogSpec(str(path), _max_size(config.config.get("max-size", "0")), int(count))


def _max_size(text: str) -> int:
    """Return the bytes after which a log is rotated; 0 for never, which "-1" means too."""
    return 0 if text.strip() == "-1" else parse_size(text, "max-size")
