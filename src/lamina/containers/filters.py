"""Docker's filters of containers: which ones `ps` lists, and `container prune` removes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

from lamina.api.results import Pruned
from lamina.cancellation import Cancellation
from lamina.containers.catalog import Catalog
from lamina.containers.container import Container
from lamina.containers.inspect import endpoints_of, shown_ports
from lamina.containers.lifecycle import Lifecycle
from lamina.containers.ports import parse, parse_range
from lamina.containers.rooms import Rooms
from lamina.containers.states import STATUSES
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.formats.matching import Filters, labels_match
from lamina.formats.patterns import found_in
from lamina.formats.times import parse_moment, parse_time

Test = Callable[[Container], bool]

_LISTED = (
    "ancestor",
    "before",
    "expose",
    "exited",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
)
_PORTS = ("publish", "expose")
_PRUNED = ("until", "label", "label!")
_HEALTH = ("starting", "healthy", "unhealthy", "none")
_NUMBER = re.compile(r"-?[0-9]{1,18}")


def select(catalog: Catalog, rooms: Rooms, filters: Filters, *, all: bool = False, limit: int = 0) -> list[Container]:
    """Return containers that pass the filters, newest first.

    Only running ones, unless `all`, `limit` or a filter on state says otherwise. Raise InvalidInput for an unknown
    filter or value, NotFound for the container that before or since name.
    """
    tests = FilterMaker(catalog, rooms).make(filters, _LISTED)
    everything = all or limit > 0 or bool({"status", "exited", "before", "since"} & set(filters))
    newest = sorted(catalog.all(), key=lambda container: container.record.created, reverse=True)
    selected = [c for c in newest if (everything or c.state.running) and not any(not test(c) for test in tests)]
    return selected[:limit] if limit > 0 else selected


def prune(catalog: Catalog, rooms: Rooms, lifecycle: Lifecycle, filters: Filters, cancellation: Cancellation) -> Pruned:
    """Remove every container that does not run and passes the filters. Raise Cancelled before the next container."""
    tests = FilterMaker(catalog, rooms).make(filters, _PRUNED)
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


class FilterMaker:
    """Make a test of each filter. Raise InvalidInput for unknown names and values, NotFound for what they name."""

    def __init__(self, catalog: Catalog, rooms: Rooms) -> None:
        self._catalog = catalog
        self._rooms = rooms

    def make(self, filters: Filters, allowed: Sequence[str]) -> list[Test]:
        """Return all tests that `filters` ask for; each must pass. A filter without values asks for nothing."""
        tests = []
        for key, values in filters.items():
            if key not in allowed:
                raise InvalidInput(f"invalid filter '{key}'", filter=key)
            if values and key not in _PORTS:
                tests.append(self._one(key, values))
        if any(filters.get(key) for key in _PORTS):
            tests.append(self._by_ports(*(_port_set(key, filters.get(key, ())) for key in _PORTS)))
        return tests

    def _by_ports(self, published: set[tuple[int, str]], exposed: set[tuple[int, str]]) -> Test:
        """Return the test for either of two sets of ports: the host's, and the container's (moby daemon/list.go)."""

        def passes(container: Container) -> bool:
            record = container.record
            for port, hosts in shown_ports(record, endpoints_of(record, self._rooms)).items():
                number, protocol = parse(port)
                if (number, protocol) in exposed:
                    return True
                if any((int(host.host_port), protocol) in published for host in hosts or ()):
                    return True
            return False

        return passes

    def _one(self, key: str, values: Sequence[str]) -> Test:
        match key:
            case "id":
                return lambda c: any(_matches(key, value, c.id) for value in values)
            case "name":
                return lambda c: any(_matches(key, value, c.name, f"/{c.name}") for value in values)
            case "label" | "label!":
                return lambda c: labels_match(c.record.config.labels, {key: values})
            case "status":
                _check(key, values, STATUSES)
                return lambda c: c.state.status in values
            case "health":
                _check(key, values, _HEALTH)
                return lambda c: (c.state.health.status if c.state.health else "none") in values
            case "exited":
                codes = [_number(key, value) for value in values]
                return lambda c: c.state.status == "exited" and c.state.exit_code in codes
            case _:
                return self._by_relation(key, values)

    def _by_relation(self, key: str, values: Sequence[str]) -> Test:
        match key:
            case "before" | "since":
                moments = [self._catalog.get(value).record.created for value in values]
                if key == "before":
                    return lambda c: all(c.record.created < moment for moment in moments)
                return lambda c: all(c.record.created > moment for moment in moments)
            case "until":
                bound = max(parse_moment(value) for value in values)
                return lambda c: parse_time(c.record.created) < bound
            case "ancestor":
                images = self._ancestors(values)
                return lambda c: bool(images & self._line(c)) or c.record.config.image in values
            case "volume":
                return lambda c: any(
                    posixpath.normpath(value) == point.destination or value in (point.name, point.source)
                    for value in values
                    for point in c.record.mounts
                )
            case "network":
                return lambda c: any(self._in_network(c, value) for value in values)
        _check(key, values, ("false", "0", "default", ""))  # is-task, isolation: what is not here anyway
        return lambda c: True

    def _ancestors(self, values: Sequence[str]) -> set[str]:
        ids = set()
        for value in values:
            image = self._rooms.images.find(value)
            if image is not None:
                ids.add(str(image.id))
        return ids

    def _line(self, container: Container) -> set[str]:
        """Return the container's image and those it was made from."""
        ids: set[str] = set()
        current = self._rooms.images.find(container.record.image) if container.record.image else None
        while current is not None and str(current.id) not in ids:
            ids.add(str(current.id))
            current = self._rooms.images.find(current.parent) if current.parent else None
        return ids or {container.record.image}

    def _in_network(self, container: Container, value: str) -> bool:
        try:
            network = self._rooms.networks.get(value)
        except NotFound:
            return False
        return network.name in container.record.networks or network.id in container.record.networks


def _check(key: str, values: Sequence[str], words: Sequence[str]) -> None:
    for value in values:
        if value not in words:
            raise InvalidInput(f"invalid filter '{key}={value}'", filter=key)


def _number(key: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise InvalidInput(f"invalid filter '{key}={value}'", filter=key)
    return int(value)


def _matches(key: str, pattern: str, *texts: str) -> bool:
    return found_in(f"filter '{key}={pattern}'", pattern, *texts)


def _port_set(key: str, values: Sequence[str]) -> set[tuple[int, str]]:
    ports: set[tuple[int, str]] = set()
    for value in values:
        try:
            ports.update(parse_range(value))
        except InvalidInput as error:
            raise InvalidInput(f"error while looking up for {key} {value}: {error.message}", filter=key) from None
    return ports
