"""A result as the documents of an image or an index: configs, manifests, and where the bytes of the layers are.

Rule: moby/buildkit, exporter/containerimage/writer.go. Images for several platforms, and images with attestations,
become an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lamina.builder.export.layer_blobs import LayerBlobs
from lamina.builder.export.options import ImageOptions, LayerForm
from lamina.builder.export.result import Attestation, PlatformImage, Result
from lamina.builder.export.statements import attest
from lamina.builder.export.timestamps import REWRITTEN, rewritten
from lamina.cancellation import Cancellation
from lamina.errors import InvalidInput
from lamina.formats.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
)
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.images.image import Image
from lamina.images.images import Images
from lamina.layers.compression import Compression
from lamina.layers.layer import Layer

PLAIN = LayerForm(Compression.NONE)
COMPRESSED = LayerForm(Compression.GZIP)


@dataclass(frozen=True, slots=True)
class AssembledImage:
    """One image with its manifest, in an index or alone."""

    image: Image
    manifest: Manifest
    entry: Descriptor
    config_raw: bytes

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.image.layers


@dataclass(frozen=True, slots=True)
class Assembly:
    """What an exporter hands out. `descriptor` describes `index`, or the only image's manifest.

    `documents` are the manifests of attestations and what these name.
    """

    descriptor: Descriptor
    images: tuple[AssembledImage, ...]
    index: Index | None = None
    documents: tuple[bytes, ...] = ()

    @property
    def top(self) -> Index | Manifest:
        """Return what a tag points at."""
        return self.index or self.images[0].manifest

    @property
    def names(self) -> dict[str, str]:
        """Return what clients are told of the documents, by BuildKit's keys."""
        names = {"containerimage.digest": str(self.descriptor.digest)}
        if len(self.images) == 1:  # an ID here is the digest of a config, with attestations too
            names["containerimage.config.digest"] = str(self.images[0].image.id)
        return names


def assemble(
    images: Images, result: Result, options: ImageOptions, form: LayerForm, names: Sequence[str], token: Cancellation
) -> Assembly:
    """Make the documents of a result, and the layers' blobs where they are to be compressed.

    Hold a lease of the store until something owns them. Raise InvalidInput for options that do not fit the result,
    NoSpace, Cancelled.
    """
    attested = [(item, _attached(item, options)) for item in result.images]
    several = result.several or len(result.images) > 1 or any(attestations for _, attestations in attested)
    options.annotations.check([item.platform for item in result.images], several=several)
    if any(attestations for _, attestations in attested) and not options.oci_types:
        raise InvalidInput('cannot export attestations with "oci-mediatypes=false"')
    blobs = LayerBlobs(images, form, options.oci_types, token)
    assembled = [_image(images, item, options, blobs, token) for item in result.images]
    if not several:
        (only,) = assembled
        return Assembly(only.entry, (only,))
    extra: list[bytes] = []
    entries = [item.entry for item in assembled]
    for item, (_, attestations) in zip(assembled, attested, strict=True):
        if attestations:
            about = attest(item.entry, attestations, names, artifact=options.oci_artifact)
            entries.append(about.entry)
            extra += about.documents
    kind = OCI_INDEX if options.oci_types else DOCKER_LIST
    index = Index.build(entries, kind, annotations=options.annotations.of("index"))
    descriptor = replace(index.descriptor, annotations=options.annotations.of("index-descriptor"))
    return Assembly(descriptor, tuple(assembled), index, tuple(extra))


def _attached(item: PlatformImage, options: ImageOptions) -> tuple[Attestation, ...]:
    return tuple(each for each in item.attestations if options.inline_attestations or not each.inline_only)


def _image(
    images: Images, item: PlatformImage, options: ImageOptions, blobs: LayerBlobs, token: Cancellation
) -> AssembledImage:
    image, epoch = item.image, options.epoch if options.has_epoch else item.epoch
    rewrite = options.rewrite_timestamp and epoch is not None
    if epoch is not None:
        image = rewritten(images, image, item.base, epoch, layers=rewrite, cancellation=token)
    layers = blobs.describe(image)
    if rewrite:
        own = len(item.base.diff_ids) if item.base else 0
        note = {REWRITTEN: str(epoch)}
        layers[own:] = [replace(blob, annotations={**blob.annotations, **note}) for blob in layers[own:]]
    manifest = Manifest.build(
        Descriptor.of(OCI_CONFIG if options.oci_types else DOCKER_CONFIG, image.config.raw),
        layers,
        OCI_MANIFEST if options.oci_types else DOCKER_MANIFEST,
        annotations=options.annotations.of("manifest", item.platform),
    )
    annotations = options.annotations.of("manifest-descriptor", item.platform)
    entry = replace(manifest.descriptor, platform=item.platform, annotations=annotations)
    return AssembledImage(image, manifest, entry, image.config.raw)


def blobs_of(assembly: Assembly) -> tuple[Digest, ...]:
    """Return the layers' blobs that are no layers of the store themselves."""
    own = {layer.diff_id for item in assembly.images for layer in item.layers}
    named = [blob.digest for item in assembly.images for blob in item.manifest.layers]
    return tuple(digest for digest in dict.fromkeys(named) if digest not in own)
