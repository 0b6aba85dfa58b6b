"""Removing containers that do not run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from lamina.cancellation import Cancellation
from lamina.containers.catalog import Catalog
from lamina.containers.filters import FilterMaker
from lamina.containers.lifecycle import Lifecycle
from lamina.containers.rooms import Rooms
from lamina.errors import Conflict, NotFound
from lamina.formats.matching import Filters

_FILTERS = ("until", "label", "label!")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune removed: IDs, and the bytes of the files that the containers had changed."""

    removed: tuple[str, ...]
    reclaimed: int


def prune(catalog: Catalog, rooms: Rooms, lifecycle: Lifecycle, filters: Filters, cancellation: Cancellation) -> Pruned:
    """Remove every container that does not run and passes the filters. Raise Cancelled before the next container."""
    tests = FilterMaker(catalog, rooms).make(filters, _FILTERS)
    removed, freed = [], 0
    for container in catalog.all():
        cancellation.check()
        if container.state.running or not all(test(container) for test in tests):
            continue
        with suppress(NotFound, Conflict):  # removed or started meanwhile
            size = rooms.snapshots.get(container.id).usage()
            lifecycle.remove(container)
            removed.append(container.id)
            freed += size
    return Pruned(tuple(removed), freed)
