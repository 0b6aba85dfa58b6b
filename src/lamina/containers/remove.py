"""Removing containers."""

from __future__ import annotations

import shutil
from contextlib import suppress

from lamina.containers.catalog import Catalog
from lamina.containers.container import Container
from lamina.containers.launch import Launcher
from lamina.containers.rooms import Rooms
from lamina.containers.stop import Stopper
from lamina.errors import Conflict, NotFound


class Remover:
    """Takes containers away with all that is theirs alone."""

    def __init__(self, rooms: Rooms, catalog: Catalog, launcher: Launcher, stopper: Stopper) -> None:
        self._rooms = rooms
        self._catalog = catalog
        self._launcher = launcher
        self._stopper = stopper

    def remove(self, container: Container, *, force: bool = False, volumes: bool = False) -> None:
        """Remove the container; with `force` a running one, with `volumes` also its anonymous volumes.

        With `force` a start that hangs is ended, too, and it does not matter who removes the container first: one that
        was run with `--rm` removes itself when it is killed. Raise Conflict for a running one, NotFound for one that
        somebody else removed meanwhile.
        """
        if force:
            self._stopper.end_start(container)
        if container.state.running:
            if not force:
                raise Conflict(self._refusal(container), container=container.id)
            self._stopper.end(container)
        with container.lock:
            if container.removed:
                if force:
                    return
                raise NotFound(f"No such container: {container.id}", container=container.id)
            if container.state.running:
                raise Conflict(self._refusal(container), container=container.id)
            self._take_away(container, volumes)

    def _refusal(self, container: Container) -> str:
        paused = container.state.status == "paused"
        return (
            f'cannot remove container "/{container.name}": container is {container.state.status}: '
            + ("unpause and then stop the container before removal or force remove" if paused else "")
            + ("" if paused else "stop the container before removing or force remove")
        )

    def take(self, container: Container) -> None:
        """Removes a container that removes itself (`--rm`), with its anonymous volumes."""
        with container.lock:
            if not container.removed and not container.state.running:
                self._take_away(container, volumes=True)

    def _take_away(self, container: Container, volumes: bool) -> None:
        container.restarting.cancellation.cancel()
        self._launcher.release(container)
        self._rooms.snapshots.remove(container.id)
        container.removed = True  # from here on nothing keeps its record any more
        self._catalog.drop(container)
        shutil.rmtree(container.directory, ignore_errors=True)
        if volumes:
            self._drop_volumes(container)
        container.tell_removed()
        container.publish("destroy")

    def _drop_volumes(self, container: Container) -> None:
        for point in container.record.mounts:
            if point.type == "volume" and point.anonymous:
                with suppress(NotFound, Conflict):  # another container may have taken it over
                    self._rooms.volumes.remove(point.name)
