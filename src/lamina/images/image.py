"""An image as a value: what its config says, and what this store knows about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lamina.errors import NotFound
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import OCI_CONFIG, OCI_LAYER, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.formats.runconfig import RunConfig
from lamina.formats.times import parse_time
from lamina.layers.layer import Layer

_MEANINGLESS = ("0001-", "1970-01-01T")  # Go's zero time, and the epoch of reproducible builds


@dataclass(frozen=True)
class Image:
    """One image of a store at the moment it was asked for. `id` is the digest of the config.

    `layers` are bottom first, `layer_sizes` the bytes of the files in each. `references` are tags,
    `digest_references` the `name@sha256:…` it was pulled or pushed as, `local_digests` those that its other names have
    with the digest of the manifest here, which no registry need know. `made` is when this store first saw it, `tagged`
    when it last got a name, `built` when a build here last made it (RFC 3339, or empty). `parent` is the image this one
    was made from, where both were made here.
    """

    config: ImageConfig
    layers: tuple[Layer, ...]
    layer_sizes: tuple[int, ...]
    references: tuple[Reference, ...]
    digest_references: tuple[Reference, ...]
    parent: Digest | None
    made: str
    tagged: str
    built: str = ""
    manifest_digest: Digest | None = None  # of the manifest it came with, None when it was made here
    indexes: Mapping[str, Digest] = field(default_factory=dict)  # those that its names mean, by name
    local_digests: tuple[Reference, ...] = ()

    @property
    def id(self) -> Digest:
        return self.config.digest

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(name.familiar() for name in self.references)

    @property
    def digests(self) -> tuple[str, ...]:
        return tuple(name.familiar() for name in (*self.digest_references, *self.local_digests))

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        return tuple(self.config.diff_ids)

    @property
    def run_config(self) -> RunConfig:
        return self.config.config

    @property
    def author(self) -> str:
        return self.config.author or ""

    @property
    def architecture(self) -> str:
        return self.config.architecture

    @property
    def os(self) -> str:
        return self.config.os

    @property
    def size(self) -> int:
        """Return bytes of the files in all layers, as Docker counts: a file that a later layer replaces counts
        twice."""
        return sum(self.layer_sizes)

    @property
    def created(self) -> str:
        """Return when the image was made, as the config says, else when this store first saw it."""
        return usable_time(self.config.created, self.made)

    @cached_property
    def dated_ns(self) -> int:
        """Return the time in nanoseconds by which images are sorted and filtered.

        This is `created`, or the time of the last build here if that is later: a build writes the time of its newest
        input, which may be years ago.
        """
        return max(parse_time(self.created), parse_time(self.built) if self.built else 0)

    @property
    def platform(self) -> Platform:
        """Return what it runs on."""
        return self.config.platform

    @property
    def labels(self) -> Mapping[str, str]:
        return self.config.config.labels

    @property
    def comment(self) -> str:
        """Return the config's comment, else that of its last step."""
        written = self.config.document.get("comment")
        if isinstance(written, str) and written:
            return written
        return self.config.history[-1].comment if self.config.history else ""


def fits_platform(image: Image, platform: str) -> bool:
    """Return whether an image is for `platform`; "" stands for any."""
    return not platform or image.platform.matches(Platform.parse(platform))


def check_platform(image: Image, platform: str) -> None:
    """Raise NotFound for an image that is not for `platform`; "" stands for any."""
    if not fits_platform(image, platform):
        raise NotFound(f"the image {image.id.short} is for {image.platform}, not for {platform}", image=image.id)


def plain_manifest(image: Image) -> Manifest:
    """Return an OCI manifest that names the image's layers uncompressed: always the same for one image."""
    return manifest_over(image.config, [layer.size for layer in image.layers])


def manifest_over(config: ImageConfig, sizes: Sequence[int]) -> Manifest:
    """Return an OCI manifest of the config and its layers as tars of these sizes."""
    layers = [Descriptor(OCI_LAYER, diff_id, size) for diff_id, size in zip(config.diff_ids, sizes, strict=True)]
    return Manifest.build(Descriptor(OCI_CONFIG, config.digest, len(config.raw)), layers)


def usable_time(written: str | None, fallback: str) -> str:
    """Return the time to show to people: `written`, unless it is missing or stands for "no time"."""
    return fallback if not written or written.startswith(_MEANINGLESS) else written


@dataclass(frozen=True, slots=True)
class ImageUser:
    """A container made from an image."""

    container_id: str
    running: bool


Users = Callable[[Digest], Sequence[ImageUser]]


def no_users(image_id: Digest) -> Sequence[ImageUser]:
    """Return no container: what `Users` are where no containers can be."""
    return ()
