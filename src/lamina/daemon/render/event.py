"""Events as JSON."""

from __future__ import annotations

from typing import Any

from lamina.events import Event


def event(item: Event) -> dict[str, Any]:
    """Return an event as Docker tells it; the first three members are its older form, for containers and images
    only."""
    shown: dict[str, Any] = {}
    if item.type in ("container", "image"):
        shown = {"status": item.action, "id": item.actor_id}
        if item.type == "container" and "image" in item.attributes:
            shown["from"] = item.attributes["image"]
    return shown | {
        "Type": item.type,
        "Action": item.action,
        "Actor": {"ID": item.actor_id, "Attributes": dict(item.attributes)},
        "scope": "local",
        "time": item.time_ns // 10**9,
        "timeNano": item.time_ns,
    }
