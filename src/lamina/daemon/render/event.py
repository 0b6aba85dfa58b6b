"""Events as JSON, and Docker's filters on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lamina.events import Event
from lamina.formats.matching import Filters, labels_match

# Filters that name an object: they fit events of that type about it.
_OBJECTS = frozenset(
    {"config", "container", "daemon", "image", "network", "node", "plugin", "secret", "service", "volume"}
)
FILTERS = _OBJECTS | {"event", "label", "scope", "type"}


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


def fits(item: Event, filters: Filters) -> bool:
    """Return whether an event is one that was asked for."""
    kinds, actions, scopes = filters.get("type"), filters.get("event"), filters.get("scope")
    if kinds and item.type not in kinds:
        return False
    if actions and not any(item.action == a or item.action.startswith(f"{a}:") for a in actions):
        return False
    if scopes and "local" not in scopes:
        return False
    if not labels_match(item.attributes, {"label": filters.get("label", ())}):
        return False
    named = [(kind, filters[kind]) for kind in _OBJECTS if filters.get(kind)]
    return not named or any(item.type == kind and _is_about(item, texts) for kind, texts in named)


def _is_about(item: Event, texts: Sequence[str]) -> bool:
    names = (item.attributes.get("name"), item.attributes.get("image"))
    return any(item.actor_id.startswith(text) or text in names for text in texts)
