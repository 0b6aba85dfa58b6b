"""What a registry says of an image, without pulling it (`distribution inspect`, `manifest inspect`)."""

from __future__ import annotations

from dataclasses import dataclass

from lamina.distribution.pull import choose_manifest
from lamina.distribution.registry_client import RegistryClient
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference


@dataclass(frozen=True, slots=True)
class Inspected:
    """The manifest or index that a reference names, how a registry describes it, and its platforms."""

    document: Manifest | Index
    descriptor: Descriptor
    platforms: tuple[Platform, ...]

    @property
    def digest(self) -> Digest:
        return self.descriptor.digest

    @property
    def media_type(self) -> str:
        return self.descriptor.media_type

    @property
    def size(self) -> int:
        return self.descriptor.size

    @property
    def platform_names(self) -> tuple[str, ...]:
        return tuple(map(str, self.platforms))


def inspect(client: RegistryClient, reference: Reference) -> Inspected:
    """Ask mirrors, then the registry itself. Raise NotFound and the kinds of `answer_errors`."""
    reference = reference.with_default_tag()
    name = reference.digest or reference.tag or ""
    repository, document = client.first(reference, lambda repository: repository.manifest(name))
    if isinstance(document, Index):
        platforms = tuple(entry.platform for entry in document.images if entry.platform is not None)
    elif document.is_image:
        platforms = (ImageConfig.parse(repository.small_blob(document.config)).platform,)
    else:
        platforms = ()
    return Inspected(document, Descriptor(document.media_type, document.digest, len(document.raw)), platforms)


def image_config(client: RegistryClient, reference: Reference, platform: Platform) -> ImageConfig:
    """Return the config of the image for `platform`, without its layers. Raise as `inspect` does, and InvalidInput."""
    reference = reference.with_default_tag()
    name = reference.digest or reference.tag or ""
    repository, document = client.first(reference, lambda repository: repository.manifest(name))
    _, manifest = choose_manifest(repository, document, platform)
    return ImageConfig.parse(repository.small_blob(manifest.config))
