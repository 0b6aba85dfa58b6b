"""Lists of images for several platforms, made by hand: what an image says of itself, and pushing the list with all
that it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lamina.distribution.answer_errors import explain_refusal
from lamina.distribution.copy import bring
from lamina.distribution.registry_client import RegistryClient
from lamina.errors import InvalidInput
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import Descriptor
from lamina.formats.manifest import Index, Manifest
from lamina.formats.reference import Reference
from lamina.progress import Report

ImageSource = tuple[Reference, Manifest]  # an image, and where it is


def read(reference: Reference, client: RegistryClient) -> Manifest | Index:
    """Return what `reference` names in its registry. Raise NotFound, Unauthorized, Forbidden, Unavailable."""
    with explain_refusal("Pull", reference):
        return client.repository(reference).manifest(reference.digest or reference.tag or "")


def describe(reference: Reference, manifest: Manifest, client: RegistryClient) -> Descriptor:
    """Return how a list refers to an image: with the platform of its config, if that is an image's config."""
    described = Descriptor(manifest.media_type, manifest.digest, len(manifest.raw))
    if not manifest.is_image:
        return described
    config = ImageConfig.parse(client.repository(reference).small_blob(manifest.config))
    return replace(described, platform=config.platform)


def push_list(
    target: Reference,
    index: Index,
    sources: Sequence[ImageSource],
    report: Report,
    *,
    client: RegistryClient,
) -> None:
    """Push `index` under the tag of `target`, after the images among `sources` that its repository lacks.

    Blobs are mounted where both repositories are in one registry. Raise InvalidInput where the list names what is
    not among the sources, and the kinds of pull and push.
    """
    digests = {manifest.digest for _, manifest in sources}
    if missing := [entry.digest for entry in index.manifests if entry.digest not in digests]:
        raise InvalidInput(f"{missing[0]} is in the list, and nobody knows where")
    goal = client.repository(target)
    with explain_refusal("Push", target):
        for reference, manifest in sources:
            if reference.name != target.name:
                bring(manifest, client.repository(reference), goal, report)
        goal.put_manifest(index, target.tag)
