"""Volumes as JSON."""

from __future__ import annotations

from typing import Any

from lamina.volumes.volume import Volume


def volume(item: Volume) -> dict[str, Any]:
    """Return a volume as inspect and the list have it."""
    return {
        "CreatedAt": item.created,
        "Driver": item.driver,
        "Labels": item.labels or None,
        "Mountpoint": item.path,
        "Name": item.name,
        "Options": item.options or None,
        "Scope": "local",
    }
