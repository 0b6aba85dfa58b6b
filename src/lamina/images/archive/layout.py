"""OCI image layout: `index.json` points to manifests (image-spec 1.1, image-layout.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lamina.errors import InvalidInput, NotFound, TooLarge
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import Descriptor, is_layer
from lamina.formats.digest import Digest
from lamina.formats.manifest import ATTESTATION, Index, Manifest, parse_manifest
from lamina.formats.platform import Platform, choose
from lamina.formats.reference import Reference
from lamina.images.archive.intake import Intake
from lamina.images.archive.plan import PlannedImage

INDEX = "index.json"
LAYOUT = "oci-layout"
CONTAINERD_NAME = "io.containerd.image.name"  # the whole name; the annotation of containerd and Docker
MOST_ENTRIES = 10_000  # of all indexes of an archive
REF_NAME = "org.opencontainers.image.ref.name"  # the specification's: often only a tag


@dataclass(frozen=True, slots=True)
class _ListedManifest:
    """An image manifest in the layout, with the name and platform that lead to it."""

    manifest: Manifest
    platform: Platform | None
    name: Reference | None


def blob_path(digest: Digest) -> str:
    """Return where a layout keeps a blob."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def plan(intake: Intake, platform: Platform | None) -> list[PlannedImage]:
    """Return the images of the layout: of those that share a name, the one that suits `platform` (default: this
    machine).

    Raise NotFound when nothing suits, InvalidInput, Corrupt.
    """
    manifests = _chosen(list(_manifests(intake)), platform)
    configs: dict[Digest, ImageConfig] = {}
    planned: dict[Digest, PlannedImage] = {}
    for item in manifests:
        digest = item.manifest.config.digest
        if digest not in configs:
            configs[digest] = ImageConfig.parse(intake.document(blob_path(digest)))
        image = _image(intake, item, configs[digest], platform)
        if image is None:
            continue
        before = planned.get(image.config.digest)
        names = (*before.references, *image.references) if before else image.references
        planned[image.config.digest] = replace(before or image, references=names)
    return list(planned.values())


def manifests_by_config(intake: Intake) -> dict[Digest, Manifest]:
    """Return the manifests that can be pushed as they are: every layer is here in the form they name."""
    if not intake.has(INDEX):
        return {}
    usable = {}
    for item in _manifests(intake):
        if all(is_here(intake, layer.digest) for layer in item.manifest.layers):
            usable[item.manifest.config.digest] = item.manifest
    return usable


def is_here(intake: Intake, digest: Digest) -> bool:
    """Return whether a layer is here in the form that has this digest."""
    return digest in intake.compressed or intake.layers.get(blob_path(digest)) == digest


def _manifests(intake: Intake) -> Iterator[_ListedManifest]:
    """Yield every image manifest that `index.json` leads to, through nested indexes. Raise TooLarge, InvalidInput."""
    top = Index.parse(intake.document(INDEX))
    yield from _Walk(intake).below(top, None, depth=0)


class _Walk:
    """A walk through the indexes of an archive, which may name each other again and again."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._known: dict[tuple[Digest, str], Manifest | Index] = {}
        self._entries = 0

    def below(self, index: Index, name: Reference | None, depth: int) -> Iterator[_ListedManifest]:
        """Yield the image manifests that an index leads to."""
        if depth > 4:
            raise InvalidInput("the archive's indexes are nested too deeply")
        for entry in index.manifests:
            self._entries += 1
            if self._entries > MOST_ENTRIES:
                raise TooLarge(f"the archive's indexes have more than {MOST_ENTRIES} entries", limit=MOST_ENTRIES)
            if ATTESTATION in entry.annotations or not (self._intake.has(blob_path(entry.digest)) or depth == 0):
                continue  # an index may list platforms that were not saved
            inner = self._parsed(entry)
            inner_name = name_of(entry) or name
            if isinstance(inner, Index):
                yield from self.below(inner, inner_name, depth + 1)
            elif inner.is_image:
                yield _ListedManifest(inner, entry.platform, inner_name)

    def _parsed(self, entry: Descriptor) -> Manifest | Index:
        key = (entry.digest, entry.media_type)
        if key not in self._known:
            raw = self._intake.document(blob_path(entry.digest))
            self._known[key] = parse_manifest(raw, entry.media_type, algorithm=entry.digest.algorithm)
        return self._known[key]


def _chosen(manifests: list[_ListedManifest], platform: Platform | None) -> list[_ListedManifest]:
    """Return one image for each name; those without a name count as one when each says another platform."""
    groups: dict[Reference | None, list[_ListedManifest]] = {}
    for item in manifests:
        groups.setdefault(item.name, []).append(item)
    result = []
    for name, items in groups.items():
        platforms = [item.platform for item in items]
        distinct = len(items) > 1 and None not in platforms and len(set(platforms)) == len(items)
        if len(items) == 1 or (name is None and not distinct):
            result.extend(items)
            continue
        position = choose(platform or Platform.host(), platforms)
        if position is None:
            names = ", ".join(sorted(str(each) for each in platforms))
            raise NotFound(
                f"no image for platform {platform or Platform.host()} in the archive", advice=f"It has {names}."
            )
        result.append(items[position])
    return result


def _image(
    intake: Intake, item: _ListedManifest, config: ImageConfig, platform: Platform | None
) -> PlannedImage | None:
    manifest = item.manifest
    if manifest.config.digest != config.digest:
        raise InvalidInput(f"the config {manifest.config.digest} is not named by its sha256 digest")
    if platform is not None and not config.platform.matches(platform):
        return None
    usable = all(is_here(intake, layer.digest) for layer in manifest.layers)
    return PlannedImage(
        config,
        tuple(blob_path(layer.digest) for layer in manifest.layers if is_layer(layer.media_type)),
        (item.name,) if item.name else (),
        manifest=manifest if usable else None,
    )


def name_of(entry: Descriptor) -> Reference | None:
    """Return the image's whole name, where the annotations hold one and not just a tag."""
    for key in (CONTAINERD_NAME, REF_NAME):
        text = entry.annotations.get(key, "")
        if ":" in text or "/" in text:
            try:
                reference = Reference.parse(text).with_default_tag()
            except InvalidInput:
                continue
            if reference.tag and not reference.digest:
                return reference
    return None
