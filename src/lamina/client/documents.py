"""What the daemon said, as values: its JSON whole, as a mapping, and the properties that `lamina.types` promises.

Quick to make and to import: a list of a thousand containers is a thousand thin wrappers. What costs an import (the
typed `config` of a container, say) is read when it is asked for.
"""

from __future__ import annotations

from lamina.light import TYPE_CHECKING, Any, Generic, Mapping, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


V = TypeVar("V", covariant=True)


class Field(Generic[V]):
    """A property of a Document: `read` makes it of the JSON each time that it is asked for."""

    def __init__(self, read: Callable[[Any], V]) -> None:
        self._read = read

    @overload
    def __get__(self, document: None, owner: type) -> Field[V]: ...
    @overload
    def __get__(self, document: Document, owner: type) -> V: ...
    def __get__(self, document: Document | None, owner: type) -> Field[V] | V:
        return self if document is None else self._read(document)


def text(key: str) -> Field[str]:
    """Return a field that is a text; "" where the daemon says nothing."""
    return Field(lambda document: str(document.get(key) or ""))


def number(key: str) -> Field[int]:
    """Return a field that is a whole number; 0 where the daemon says nothing."""
    return Field(lambda document: int(document.get(key) or 0))


def truth(key: str) -> Field[bool]:
    """Return a field that is true or false; false where the daemon says nothing."""
    return Field(lambda document: bool(document.get(key)))


def texts(key: str) -> Field[tuple[str, ...]]:
    """Return a field of several texts; none where the daemon says nothing."""
    return Field(lambda document: tuple(document.get(key) or ()))


def time(key: str) -> Field[str]:
    """Return a field that is a time: Unix seconds or RFC 3339 in the JSON, RFC 3339 here."""
    return Field(lambda document: _moment(document[key]))


def text_map(key: str) -> Field[Mapping[str, str]]:
    """Return a field of texts by name, which inspect has in the container's or image's config."""
    return Field(lambda document: dict(document.get(key) or (document.get("Config") or {}).get(key) or {}))


class Network(Document):
    """A network."""

    id = text("Id")
    name = text("Name")
    driver = text("Driver")
    created = text("Created")
    internal = truth("Internal")
    enable_ipv6 = truth("EnableIPv6")
    labels = text_map("Labels")
    options = text_map("Options")

    @property
    def enable_ipv4(self) -> bool:
        """Return whether its containers have IPv4 addresses; daemons before API 1.48 know no others."""
        return bool(self.get("EnableIPv4", True))

    @property
    def ipam(self) -> Ipam:
        """Return how the network's addresses are chosen."""
        from lamina.api.networks import decode_ipam

        return decode_ipam(self.get("IPAM"))


class Volume(Document):
    """A volume."""

    name = text("Name")
    driver = text("Driver")
    created = text("CreatedAt")
    labels = text_map("Labels")
    options = text_map("Options")
    path = text("Mountpoint")


class Created(Document):
    """The answer to a create."""

    id = Field(lambda document: str(document.get("Id") or document.get("ID")))
    warnings = texts("Warnings")


class Pruned(Document):
    """What a prune removed."""

    reclaimed = number("SpaceReclaimed")

    @property
    def removed(self) -> tuple[str, ...]:
        """Return the IDs or names of what is gone."""
        kinds = ("ContainersDeleted", "NetworksDeleted", "VolumesDeleted", "CachesDeleted")
        return tuple(name for kind in kinds for name in self.get(kind) or ())


def _moment(value: int | str) -> str:
    """Return a time of the daemon, Unix seconds or RFC 3339, as RFC 3339."""
    if isinstance(value, str):
        return value
    from lamina.formats.times import format_time

    return format_time(value * 10**9)
