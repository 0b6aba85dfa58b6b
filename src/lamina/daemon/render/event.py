"""Events as JSON, and the media type of their stream."""

from __future__ import annotations

from typing import Any

from lamina.events import Event

JSON_LINES, JSON_SEQUENCE = "application/jsonl", "application/json-seq"
_STREAMS = (JSON_LINES, "application/x-ndjson", JSON_SEQUENCE)


def media_type(accept: str, version: tuple[int, int]) -> str:
    """Return the type of a stream of events: the one that `accept`, the request's header, prefers, else the usual.

    Before API 1.52 the usual was `application/json`, which a stream of lines is not.
    """
    best, best_quality = "", 0.0
    for offer in _STREAMS:
        for entry in accept.split(","):
            name, *parameters = (part.strip() for part in entry.split(";"))
            quality = _quality(parameters)
            if name.lower() == offer and quality > best_quality:
                best, best_quality = offer, quality
    return best or (JSON_LINES if version >= (1, 52) else "application/json")


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def is_known(item: Event, version: tuple[int, int]) -> bool:
    """Return whether clients of an API version know of this kind of event."""
    return version >= (1, 46) or (item.type, item.action) != ("image", "create")


def event(item: Event, version: tuple[int, int]) -> dict[str, Any]:
    """Return an event as Docker tells it. Before 1.52 those of containers and images have an older form as well."""
    document: dict[str, Any] = {}
    if item.type in ("container", "image") and version < (1, 52):
        document = {"status": item.action, "id": item.actor_id}
        if item.type == "container" and "image" in item.attributes:
            document["from"] = item.attributes["image"]
    return document | {
        "Type": item.type,
        "Action": item.action,
        "Actor": {"ID": item.actor_id, "Attributes": dict(item.attributes)},
        "scope": "local",
        "time": item.time_ns // 10**9,
        "timeNano": item.time_ns,
    }
