"""What the daemon said, as values: its JSON whole, as a mapping, and the properties that `lamina.types` promises.

Quick to make and to import: a list of a thousand containers is a thousand thin wrappers. What costs an import (the
typed `config` of a container, say) is read when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lamina.api.networks import Ipam


class Document(Mapping[str, Any]):
    """A JSON object of the Engine API. Nothing is lost or renamed: `document["Id"]` is what was sent."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw

    def __getitem__(self, key: str) -> Any:
        return self._raw[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._raw.get('Id') or self._raw.get('ID') or self._raw.get('Name') or ''}>"


class Identified(Document):
    """What has an ID: hex digits, for images the digest of the config ("sha256:…")."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """Return the ID, whole."""
        return str(self["Id"])


class Network(Identified):
    """A network."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Return its name."""
        return str(self["Name"])

    @property
    def driver(self) -> str:
        """bridge, host or null."""
        return str(self["Driver"])

    @property
    def created(self) -> str:
        """When it was made, RFC 3339."""
        return str(self["Created"])

    @property
    def internal(self) -> bool:
        """Return whether it has no way to the outside."""
        return bool(self.get("Internal"))

    @property
    def labels(self) -> Mapping[str, str]:
        """Return its labels."""
        return dict(self.get("Labels") or {})

    @property
    def options(self) -> Mapping[str, str]:
        """Return what was asked of its driver."""
        return dict(self.get("Options") or {})

    @property
    def ipam(self) -> Ipam:
        """Return how its addresses are chosen."""
        from lamina.api.networks import decode_ipam

        return decode_ipam(self.get("IPAM"))


class Volume(Document):
    """A volume."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Return its name, which no other volume has."""
        return str(self["Name"])

    @property
    def driver(self) -> str:
        """Return who keeps it: "local"."""
        return str(self["Driver"])

    @property
    def created(self) -> str:
        """When it was made, RFC 3339."""
        return str(self.get("CreatedAt") or "")

    @property
    def labels(self) -> Mapping[str, str]:
        """Return its labels."""
        return dict(self.get("Labels") or {})

    @property
    def options(self) -> Mapping[str, str]:
        """Return what was asked of its driver."""
        return dict(self.get("Options") or {})

    @property
    def path(self) -> str:
        """Return where its files are on the daemon's machine."""
        return str(self["Mountpoint"])


class Created(Document):
    """The answer to a create: an id, and what the daemon warns of."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """Return the ID of what was made."""
        return str(self.get("Id") or self.get("ID"))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return sentences for people, about wishes that this daemon cannot fulfil."""
        return tuple(self.get("Warnings") or ())


class Pruned(Document):
    """What a prune removed."""

    __slots__ = ()

    @property
    def removed(self) -> tuple[str, ...]:
        """Return the IDs or names of what is gone."""
        kinds = ("ContainersDeleted", "NetworksDeleted", "VolumesDeleted", "CachesDeleted")
        return tuple(name for kind in kinds for name in self.get(kind) or ())

    @property
    def reclaimed(self) -> int:
        """Return bytes."""
        return int(self.get("SpaceReclaimed") or 0)


def moment(value: int | str) -> str:
    """Return a time of the daemon, Unix seconds or RFC 3339, as RFC 3339."""
    if isinstance(value, str):
        return value
    from lamina.formats.times import format_time

    return format_time(value * 10**9)
