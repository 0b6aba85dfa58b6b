"""What the daemon said, as values: the JSON whole, as a mapping, and names for what programs ask most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


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


class _Identified(Document):
    """What has an ID: hex digits, for images the digest of the config ("sha256:…")."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """The ID, whole."""
        return str(self["Id"])


class Image(_Identified):
    """An image, from a list or from inspect."""

    __slots__ = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """Familiar names with tags that refer to it, such as "alpine:3.20"."""
        return tuple(self.get("RepoTags") or ())

    @property
    def digests(self) -> tuple[str, ...]:
        """Names with the digest of a manifest it was pulled or pushed as."""
        return tuple(self.get("RepoDigests") or ())

    @property
    def size(self) -> int:
        """Bytes of all its layers."""
        return int(self["Size"])

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels; empty where it has none."""
        found = self.get("Labels") or (self.get("Config") or {}).get("Labels")
        return dict(found or {})

    @property
    def layers(self) -> tuple[str, ...]:
        """Diff-ids from the bottom up; empty for an image from a list, which does not tell."""
        return tuple((self.get("RootFS") or {}).get("Layers") or ())


class Container(_Identified):
    """A container, from a list or from inspect."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Its name, without the slash that the API puts before it."""
        names = self.get("Names") or [self.get("Name", "")]
        return str(names[0]).removeprefix("/")

    @property
    def image(self) -> str:
        """What it was made from, as it was named then."""
        config = self.get("Config")
        return str(config["Image"] if config else self["Image"])

    @property
    def state(self) -> str:
        """created, running, paused, restarting, exited, dead or removing."""
        state = self["State"]
        return str(state["Status"] if isinstance(state, Mapping) else state)

    @property
    def running(self) -> bool:
        """Whether its process is there, paused or not."""
        return self.state in ("running", "paused")

    @property
    def exit_code(self) -> int | None:
        """The status it ended with; None where it did not end, or the document is from a list."""
        state = self["State"]
        return int(state["ExitCode"]) if isinstance(state, Mapping) and self.state == "exited" else None

    @property
    def tty(self) -> bool:
        """Whether it has a terminal, so that its output is one raw stream; False for a document from a list."""
        return bool((self.get("Config") or {}).get("Tty"))


class _Named(Document):
    """What goes by a name."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name, which no other thing of its kind has."""
        return str(self["Name"])

    @property
    def driver(self) -> str:
        """Who makes it: "bridge", "host", "null" for networks, "local" for volumes."""
        return str(self["Driver"])


class Network(_Named, _Identified):
    """A network."""

    __slots__ = ()


class Volume(_Named):
    """A volume."""

    __slots__ = ()

    @property
    def path(self) -> str:
        """Where it is mounted from on the daemon's machine."""
        return str(self["Mountpoint"])


class Created(Document):
    """The answer to a create: an id, and what the daemon warns of."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """The ID of what was made."""
        return str(self.get("Id") or self.get("ID"))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for people, about wishes that this daemon cannot fulfil."""
        return tuple(self.get("Warnings") or ())


class Pruned(Document):
    """What a prune removed."""

    __slots__ = ()

    @property
    def reclaimed(self) -> int:
        """Bytes."""
        return int(self.get("SpaceReclaimed") or 0)
