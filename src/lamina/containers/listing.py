"""`ps`: which containers, and what is shown of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from lamina.containers.catalog import Catalog
from lamina.containers.container import Container
from lamina.containers.filters import FilterMaker
from lamina.containers.inspect import mount, network_settings, sizes
from lamina.containers.rooms import Rooms
from lamina.errors import NotFound
from lamina.formats.durations import human_duration
from lamina.formats.labelfilters import Filters
from lamina.formats.times import parse_time

_KNOWN = (
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


def select(catalog: Catalog, rooms: Rooms, filters: Filters, *, all: bool = False, limit: int = 0) -> list[Container]:
    """Containers that pass the filters, newest first; running ones only, unless `all`, `limit` or a filter on state.

    Raises InvalidInput for an unknown filter or value, NotFound for the container that before or since name.
    """
    tests = FilterMaker(catalog, rooms).make(filters, _KNOWN)
    everything = all or limit > 0 or bool({"status", "exited", "before", "since"} & set(filters))
    newest = sorted(catalog.all(), key=lambda container: container.record.created, reverse=True)
    found = [c for c in newest if (everything or c.state.running) and not any(not test(c) for test in tests)]
    return found[:limit] if limit > 0 else found


def summary(container: Container, rooms: Rooms, *, size: bool = False) -> dict[str, Any]:
    """One container as `GET /containers/json` has it."""
    record = container.record
    settings = network_settings(record, rooms)
    shown: dict[str, Any] = {
        "Id": record.id,
        "Names": [f"/{record.name}"],
        "Image": image_name(container, rooms),
        "ImageID": record.image,
        "Command": command(record.command),
        "Created": parse_time(record.created) // 1_000_000_000,
        "Ports": _ports(settings["Ports"]),
        "Labels": dict(record.config.labels),
        "State": record.state.status,
        "Status": status(container),
        "HostConfig": {"NetworkMode": record.host_config.network_mode},
        "NetworkSettings": {"Networks": settings["Networks"]},
        "Mounts": [mount(point) for point in record.mounts if point.type != "tmpfs"],
    }
    if size:
        own, below = sizes(container, rooms)
        shown |= {"SizeRw": own, "SizeRootFs": own + below}
    return shown


def command(words: Sequence[str]) -> str:
    """The command as `ps` shows it: words with spaces quoted."""
    return " ".join(f"'{word}'" if " " in word or not word else word for word in words)


def image_name(container: Container, rooms: Rooms) -> str:
    """What the container's image was asked for as; its ID when that name means another image by now."""
    record = container.record
    try:
        if str(rooms.images.get(record.config.image).id) == record.image:
            return record.config.image
    except NotFound:
        return record.image
    return record.image


def _ports(ports: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for key, places in ports.items():
        number, _, protocol = key.partition("/")
        base = {"PrivatePort": int(number.partition("-")[0]), "Type": protocol}
        if not places:
            found.append(base)
        for place in places or ():
            found.append({"IP": place["HostIp"], **base, "PublicPort": int(place["HostPort"])})
    return found


def status(container: Container) -> str:
    """The sentence in the STATUS column (moby daemon/container/state.go)."""
    now = container.state
    if now.status == "created":
        return "Created"
    if now.status in ("removing", "dead"):
        return "Removal In Progress" if now.status == "removing" else "Dead"
    if now.status == "restarting":
        return f"Restarting ({now.exit_code}) {ago(now.finished_at)} ago"
    if now.status == "exited":
        return f"Exited ({now.exit_code}) {ago(now.finished_at)} ago"
    up = f"Up {ago(now.started_at)}"
    if now.status == "paused":
        return f"{up} (Paused)"
    if now.health is not None:
        word = "health: starting" if now.health.status == "starting" else now.health.status
        return f"{up} ({word})"
    return up


def ago(moment: str) -> str:
    """How long ago a time was, in words (docker/go-units duration.go)."""
    return human_duration(time.time() - parse_time(moment) / 1e9)
