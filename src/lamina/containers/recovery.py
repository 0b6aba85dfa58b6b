"""After a restart of the engine: which containers still run, and which ended meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from lamina.containers.catalog import Catalog
from lamina.containers.container import Container
from lamina.containers.exits import Exits
from lamina.containers.rooms import Rooms
from lamina.errors import LaminaError, NotFound
from lamina.runtime.process import ExitStatus
from lamina.runtime.task import Task

_SECONDS = 10.0  # for a killed container to end
UNKNOWN_EXIT = 255  # what dockerd reports for containers that died with the machine


class Recovery:
    """Brings the records and the machine together again. To be used once, before anything else is done."""

    def __init__(
        self,
        rooms: Rooms,
        catalog: Catalog,
        exits: Exits,
        on_oom: Callable[[Container], None],
        start: Callable[[Container], None],
        remove: Callable[[Container], None],
    ) -> None:
        self._rooms = rooms
        self._catalog = catalog
        self._exits = exits
        self._on_oom = on_oom
        self._start = start
        self._remove = remove

    def recover(self) -> None:
        """Finds running containers, takes note of ends, and applies restart policies and removals that are due."""
        containers = self._catalog.all()
        tasks = {container.id: self._task(container) for container in containers if container.state.running}
        alive = {id for id, task in tasks.items() if task is not None and task.pid}
        for container in containers:
            if not container.state.running:
                self._end_unrecorded(container)
        self._sweep(containers, alive)
        for container in containers:
            if container.id in alive:
                self._adopt(container, tasks[container.id])
            elif container.state.running:
                self._take_end(container, tasks[container.id])
            else:
                self._clear(container)

    def _task(self, container: Container) -> Task | None:
        try:
            return self._rooms.runtime.recover(
                container.id,
                lambda status: self._exits.ended(container, status),
                on_oom=lambda: self._on_oom(container),
            )
        except NotFound:
            return None

    def _sweep(self, containers: list[Container], alive: set[str]) -> None:
        self._catalog.sweep()
        self._rooms.snapshots.sweep([container.id for container in containers], alive)
        joined = [c.record.host_config.network_mode for c in containers if c.state.running]
        if any(mode not in ("host", "none") and not mode.startswith("container:") for mode in joined):
            self._rooms.networks.sweep(alive)

    def _adopt(self, container: Container, task: Task | None) -> None:
        container.task = task
        container.mounted = True
        for point in container.record.mounts:
            if point.type == "volume":
                with suppress(LaminaError):  # it runs already; a volume that vanished is its loss alone
                    self._rooms.volumes.mount(point.name, container.id)
        if task is not None and task.status is not None:  # it ended while we looked
            self._exits.ended(container, task.status)

    def _take_end(self, container: Container, task: Task | None) -> None:
        """A container that ran when the engine went away, and does not any more."""
        status = task.status if task is not None else None
        container.task = task
        if container.state.status == "restarting":
            status = status or ExitStatus(container.state.exit_code, finished_at=time.time_ns())
        self._exits.ended(container, status or ExitStatus(UNKNOWN_EXIT, finished_at=time.time_ns()))

    def _end_unrecorded(self, container: Container) -> None:
        """Ends what was prepared for a client that attached and never started, and what had just been started when the
        engine died: nobody was told that it runs."""
        with suppress(LaminaError):  # there is none, or it has just ended
            task = self._rooms.runtime.recover(container.id)
            if task.pid:
                task.kill(all=True)
                task.wait(_SECONDS)
            task.delete()

    def _clear(self, container: Container) -> None:
        policy = container.record.host_config.restart_policy.name
        state = container.state
        if container.record.host_config.auto_remove and state.status == "exited":
            self._remove(container)
        elif policy == "always" and state.status == "exited":
            with suppress(LaminaError):  # one that does not start must not keep the others from it
                self._start(container)
