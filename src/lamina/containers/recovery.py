"""After a restart of the engine: which containers still run, and which ended meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from lamina.containers.catalog import Catalog
from lamina.containers.container import Container
from lamina.containers.image_mounts import image_keys
from lamina.containers.lifecycle import Lifecycle
from lamina.containers.rooms import Rooms
from lamina.containers.update import rename_places
from lamina.errors import LaminaError, NotFound
from lamina.runtime.process import ExitStatus
from lamina.runtime.task import Task

_SECONDS = 10.0  # for a killed container to end
UNKNOWN_EXIT = 255  # what dockerd reports for containers that died with the machine


def recover(lifecycle: Lifecycle, catalog: Catalog, rooms: Rooms) -> None:
    """Bring the records and the machine together again, before anything else is done.

    Find running containers, record the ends of others, and apply the restart policies and removals that are due.
    """
    containers = catalog.all()
    tasks = {container.id: _task(container, lifecycle, rooms) for container in containers if container.state.running}
    alive = {id for id, task in tasks.items() if task is not None and task.pid}
    for container in containers:
        if not container.state.running:
            _end_unrecorded(container, rooms)
    catalog.sweep()
    _sweep(containers, alive, rooms)
    for container in containers:
        if container.id in alive:
            _adopt(container, tasks[container.id], lifecycle, rooms)
        elif container.state.running:
            _take_end(container, tasks[container.id], lifecycle)
        else:
            _apply_policy(container, lifecycle)
    rooms.volumes.unmount_unused()


def _task(container: Container, lifecycle: Lifecycle, rooms: Rooms) -> Task | None:
    try:
        return rooms.runtime.recover(
            container.id,
            partial(lifecycle.ended, container),
            on_oom=partial(lifecycle.out_of_memory, container),
        )
    except NotFound:
        return None


def _end_unrecorded(container: Container, rooms: Rooms) -> None:
    """End a task whose start is not recorded.

    A client attached to it and never started it, or the engine died during the start, before it told anybody.
    """
    with suppress(LaminaError):  # there is none, or it has just ended
        task = rooms.runtime.recover(container.id)
        if task.pid:
            task.kill(all=True)
            task.wait(_SECONDS)
        task.delete()


def _sweep(containers: Sequence[Container], alive: set[str], rooms: Rooms) -> None:
    keys = {
        container.id: [container.id, *image_keys(container.id, container.record.mounts)] for container in containers
    }
    running = {key for id in alive for key in keys[id]}
    rooms.snapshots.sweep([key for own in keys.values() for key in own], running)
    modes = [c.record.host_config.network_mode for c in containers if c.state.running]
    if any(mode not in ("host", "none") and not mode.startswith("container:") for mode in modes):
        rooms.networks.sweep(alive)


def _adopt(container: Container, task: Task | None, lifecycle: Lifecycle, rooms: Rooms) -> None:
    """Take a running container over from the engine before."""
    container.task = task
    container.mounted = True
    for point in container.record.mounts:
        if point.type == "volume":
            with suppress(LaminaError):  # it runs already; a volume that vanished is its loss alone
                rooms.volumes.mount(point.name, container.id)
    if container.record.networks and container.record.host_config.network_mode != "host":
        with suppress(LaminaError):  # names alone: the engine died in a rename, or is older than they are
            rename_places(container, rooms.networks)
    if task is not None and task.status is not None:  # it ended while we looked
        lifecycle.ended(container, task.status)
    elif container.state.running:
        lifecycle.checks.begin(container)


def _take_end(container: Container, task: Task | None, lifecycle: Lifecycle) -> None:
    """Record the end of a container that ran when the engine before went away."""
    status = task.status if task is not None else None
    container.task = task
    if container.state.status == "restarting":
        status = status or ExitStatus(container.state.exit_code, finished_at=time.time_ns())
    lifecycle.ended(container, status or ExitStatus(UNKNOWN_EXIT, finished_at=time.time_ns()))


def _apply_policy(container: Container, lifecycle: Lifecycle) -> None:
    """Remove or start again a container that had ended before."""
    host = container.record.host_config
    if container.state.status != "exited":
        return
    if host.auto_remove:
        lifecycle.remove_itself(container)
    elif host.restart_policy.name == "always":
        with suppress(LaminaError):  # one that does not start must not keep the others from it
            lifecycle.start_again(container)
