"""What the daemon said of images, in its own store and in registries."""

from __future__ import annotations

from lamina.client.documents import Document, Field, number, text, text_map, texts, time, truth
from lamina.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lamina.api.build_steps import BuildStep
    from lamina.formats.runconfig import RunConfig


class Image(Document):
    """An image, from a list or from inspect; a list tells nothing of layers, author, comment and platform."""

    id = text("Id")
    created = time("Created")
    size = number("Size")
    labels = text_map("Labels")
    diff_ids = Field[tuple[str, ...]](lambda document: tuple((document.get("RootFS") or {}).get("Layers") or ()))
    author = text("Author")
    comment = text("Comment")
    architecture = text("Architecture")
    os = text("Os")

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the image's names with a tag; older daemons list one of their own for an image without any."""
        return tuple(name for name in self.get("RepoTags") or () if name != "<none>:<none>")

    @property
    def digests(self) -> tuple[str, ...]:
        """Return the image's names with the digest of a manifest."""
        return tuple(name for name in self.get("RepoDigests") or () if name != "<none>@<none>")

    @property
    def run_config(self) -> RunConfig:
        """Return what the image runs by default."""
        from lamina.api.containers import decode
        from lamina.formats.runconfig import RunConfig

        return decode(self.get("Config") or {}, RunConfig)


class HistoryStep(Document):
    """A step of an image."""

    id = text("Id")
    created = time("Created")
    created_by = text("CreatedBy")
    tags = texts("Tags")
    size = number("Size")
    comment = text("Comment")


class AttestedStatement(Document):
    """An in-toto statement about an image."""

    predicate_type = text("PredicateType")
    digest = Field[str](lambda document: str((document.get("Descriptor") or {}).get("digest") or ""))

    @property
    def statement(self) -> Mapping[str, object]:
        """Return the statement, empty where it was not asked for."""
        return self.get("Statement") or {}


class Removal(Document):
    """A name that was taken away, or an image or layer that was deleted; the other text is empty."""

    untagged = text("Untagged")
    deleted = text("Deleted")


class SearchResult(Document):
    """A repository that a registry found."""

    name = text("name")
    description = text("description")
    stars = number("star_count")
    official = truth("is_official")
    automated = truth("is_automated")


def _platform_name(platform: Mapping[str, Any]) -> str:
    return "/".join(filter(None, (platform.get(part) for part in ("os", "architecture", "variant"))))


class RemoteImage(Document):
    """An image in a registry."""

    digest = Field(lambda document: str(document["Descriptor"]["digest"]))
    media_type = Field(lambda document: str(document["Descriptor"]["mediaType"]))
    size = Field(lambda document: int(document["Descriptor"]["size"]))
    platform_names = Field(lambda document: tuple(map(_platform_name, document.get("Platforms") or ())))


class BuildResult(NamedTuple):
    """The image that a build made, and what became of each step if the build was asked to explain itself."""

    image: Image
    steps: tuple[BuildStep, ...] = ()
    metadata: Mapping[str, str] = {}


class PrunedImages(Document):
    """What a prune of images removed."""

    removed = Field(lambda document: tuple(map(Removal, document.get("ImagesDeleted") or ())))
    reclaimed = number("SpaceReclaimed")
