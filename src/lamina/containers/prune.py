"""Removing containers that do not run."""

from __future__ import annotations

from contextlib import suppress

from lamina.cancellation import Cancellation
from lamina.containers.catalog import Catalog
from lamina.containers.filters import FilterMaker
from lamina.containers.remove import Remover
from lamina.containers.rooms import Rooms
from lamina.errors import Conflict, NotFound
from lamina.formats.labelfilters import Filters

_FILTERS = ("until", "label", "label!")


def prune(
    catalog: Catalog, rooms: Rooms, remover: Remover, filters: Filters, cancellation: Cancellation
) -> tuple[list[str], int]:
    """Removes every container that does not run and passes the filters; gives their IDs and bytes of their files."""
    tests = FilterMaker(catalog, rooms).make(filters, _FILTERS)
    removed, freed = [], 0
    for container in catalog.all():
        cancellation.check()
        if container.state.running or not all(test(container) for test in tests):
            continue
        with suppress(NotFound, Conflict):  # removed or started meanwhile
            size = rooms.snapshots.get(container.id).usage()
            remover.remove(container)
            removed.append(container.id)
            freed += size
    return removed, freed
