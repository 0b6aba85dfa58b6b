"""What the daemon said of images, in its own store and in registries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from lamina.client.documents import Document, Identified, moment

if TYPE_CHECKING:
    from lamina.formats.runconfig import RunConfig


class Image(Identified):
    """An image, from a list or from inspect; a list does not tell all of it."""

    __slots__ = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """Familiar names with tags that refer to it, such as "alpine:3.20"."""
        return tuple(name for name in self.get("RepoTags") or () if name != "<none>:<none>")

    @property
    def digests(self) -> tuple[str, ...]:
        """Return names with the digest of a manifest it was pulled or pushed as."""
        return tuple(name for name in self.get("RepoDigests") or () if name != "<none>@<none>")

    @property
    def created(self) -> str:
        """When it was made, RFC 3339; from a list in whole seconds."""
        return moment(self["Created"])

    @property
    def size(self) -> int:
        """Return bytes of all its layers."""
        return int(self["Size"])

    @property
    def labels(self) -> Mapping[str, str]:
        """Return its labels; empty where it has none."""
        return dict(self.get("Labels") or (self.get("Config") or {}).get("Labels") or {})

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """Return digests of its layers from the bottom up; empty for an image from a list, which does not tell."""
        return tuple((self.get("RootFS") or {}).get("Layers") or ())

    @property
    def author(self) -> str:
        """Return who made it."""
        return str(self.get("Author") or "")

    @property
    def comment(self) -> str:
        """Return what its maker wrote about it."""
        return str(self.get("Comment") or "")

    @property
    def architecture(self) -> str:
        """Return the machine it runs on, in Go's words ("amd64")."""
        return str(self.get("Architecture") or "")

    @property
    def os(self) -> str:
        """Return the system it runs on."""
        return str(self.get("Os") or "")

    @property
    def run_config(self) -> RunConfig:
        """Return what it runs by default."""
        from lamina.api.containers import decode
        from lamina.formats.runconfig import RunConfig

        return decode(self.get("Config") or {}, RunConfig)


class HistoryStep(Document):
    """A step of an image."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """Return the ID of the image that it made, `<missing>` where that is not here."""
        return str(self["Id"])

    @property
    def created(self) -> str:
        """When it was made, RFC 3339 in whole seconds."""
        return moment(self["Created"])

    @property
    def created_by(self) -> str:
        """Return the instruction."""
        return str(self.get("CreatedBy") or "")

    @property
    def tags(self) -> tuple[str, ...]:
        """Return names of the image that it made."""
        return tuple(self.get("Tags") or ())

    @property
    def size(self) -> int:
        """Return bytes of the files that it added."""
        return int(self.get("Size") or 0)

    @property
    def comment(self) -> str:
        """Return what its maker wrote about it."""
        return str(self.get("Comment") or "")


class Removal(Document):
    """A name that was taken away, or an image or layer that was deleted; the other text is empty."""

    __slots__ = ()

    @property
    def untagged(self) -> str:
        """Return the name."""
        return str(self.get("Untagged") or "")

    @property
    def deleted(self) -> str:
        """Return the digest."""
        return str(self.get("Deleted") or "")


class SearchResult(Document):
    """A repository that a registry found."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Return its name, as `pull` takes it."""
        return str(self["name"])

    @property
    def description(self) -> str:
        """Return what its owner says of it."""
        return str(self.get("description") or "")

    @property
    def stars(self) -> int:
        """Return how many people like it."""
        return int(self.get("star_count") or 0)

    @property
    def official(self) -> bool:
        """Return whether it is one of Docker Hub's own."""
        return bool(self.get("is_official"))

    @property
    def automated(self) -> bool:
        """Return whether the registry builds it."""
        return bool(self.get("is_automated"))


class RemoteImage(Document):
    """An image in a registry."""

    __slots__ = ()

    @property
    def digest(self) -> str:
        """Return the digest of its manifest or index."""
        return str(self["Descriptor"]["digest"])

    @property
    def media_type(self) -> str:
        """Return what kind of document that is."""
        return str(self["Descriptor"]["mediaType"])

    @property
    def size(self) -> int:
        """Return bytes of that document."""
        return int(self["Descriptor"]["size"])

    @property
    def platform_names(self) -> tuple[str, ...]:
        """Return what it runs on: "linux/amd64"."""
        parts = ("os", "architecture", "variant")
        return tuple("/".join(filter(None, map(item.get, parts))) for item in self.get("Platforms") or ())


class BuildResult(NamedTuple):
    """The image that a build made."""

    image: Image


class PrunedImages(Document):
    """What a prune of images removed."""

    __slots__ = ()

    @property
    def removed(self) -> tuple[Removal, ...]:
        """Return names that were taken away and images that were deleted, in order."""
        return tuple(Removal(item) for item in self.get("ImagesDeleted") or ())

    @property
    def reclaimed(self) -> int:
        """Return bytes."""
        return int(self.get("SpaceReclaimed") or 0)
