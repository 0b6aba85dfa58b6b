"""What a daemon has, as the JSON objects of its lists: for commands, which print them and do not wait for classes."""

from __future__ import annotations

from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from lamina.client.transport import Transport
    from lamina.formats.matching import Filters

    Documents = list[dict[str, Any]]


def containers(
    transport: Transport, *, all: bool = False, limit: int = 0, size: bool = False, filters: Filters | None = None
) -> Documents:
    """Return the containers, as `Containers.list` does."""
    query = {"all": all, "limit": limit or None, "size": size, "filters": filters or None}
    return list(transport.json("GET", "/containers/json", query))


def images(
    transport: Transport, *, all: bool = False, filters: Filters | None = None, shared_size: bool = False
) -> Documents:
    """Return the images, as `Images.list` does."""
    query = {"all": all, "filters": filters or None, "shared-size": shared_size}
    return list(transport.json("GET", "/images/json", query))


def networks(transport: Transport, filters: Filters | None = None) -> Documents:
    """Return the networks, as `Networks.list` does."""
    return list(transport.json("GET", "/networks", {"filters": filters or None}))


def volumes(transport: Transport, filters: Filters | None = None) -> Documents:
    """Return the volumes, as `Volumes.list` does."""
    return list(transport.json("GET", "/volumes", {"filters": filters or None}).get("Volumes") or ())
