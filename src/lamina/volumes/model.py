"""The values of this room. Frozen, JSON-able, without behaviour."""

from __future__ import annotations

import msgspec

ANONYMOUS_LABEL = "com.docker.volume.anonymous"  # how Docker marks volumes that nobody named


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A volume as it is kept. `options` are the local driver's: type, device, o (mount(8)'s words)."""

    name: str
    created: str
    labels: dict[str, str] = {}
    options: dict[str, str] = {}

    @property
    def anonymous(self) -> bool:
        """Whether its name was made up, so that it goes with its container."""
        return ANONYMOUS_LABEL in self.labels
