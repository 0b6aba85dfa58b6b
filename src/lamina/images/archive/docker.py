"""docker-archive: `manifest.json` lists the images (moby: image/tarexport)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from lamina.errors import InvalidInput
from lamina.formats.config import ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.document import bad_field
from lamina.formats.manifest import Manifest
from lamina.formats.platform import Platform
from lamina.images.archive.intake import Intake
from lamina.images.archive.plan import PlannedImage, tags

MANIFEST = "manifest.json"
_WHAT = "archive's manifest.json"


class ManifestItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image in `manifest.json`."""

    config: str = msgspec.field(name="Config")
    layers: list[str] | None = msgspec.field(name="Layers", default=None)
    repo_tags: list[str] | None = msgspec.field(name="RepoTags", default=None)
    parent: str | None = msgspec.field(name="Parent", default=None)


def plan(intake: Intake, manifests: Mapping[Digest, Manifest], platform: Platform | None) -> list[PlannedImage]:
    """The images that `manifest.json` lists, those for `platform` only where one is given.

    `manifests` are the OCI manifests that the archive holds as well, by config. Raises InvalidInput, NotFound.
    """
    try:
        items = msgspec.json.decode(intake.document(MANIFEST), type=list[ManifestItem])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        problem, _, path = str(error).partition(" - at `$")
        raise bad_field(_WHAT, path.rstrip("`") or "$", problem) from error
    planned = []
    for item in items:
        config = ImageConfig.parse(intake.document(item.config))
        if platform is None or config.platform.matches(platform):
            parent = Digest.parse(item.parent) if item.parent else None
            names = tags(item.repo_tags or ())
            layers = tuple(item.layers or ())
            planned.append(PlannedImage(config, layers, names, parent, manifests.get(config.digest)))
    return _with_present_parents(planned)


def _with_present_parents(planned: list[PlannedImage]) -> list[PlannedImage]:
    """Parents count only where they come in the same archive and can be parents."""
    by_id = {image.config.digest: image for image in planned}
    result = []
    for image in planned:
        parent = by_id.get(image.parent) if image.parent else None
        if image.parent == image.config.digest:
            parent = None
        if parent is not None and not _can_be_parent(image.config, parent.config):
            raise InvalidInput(f"image {parent.config.digest} is not a valid parent for {image.config.digest}")
        result.append(replace(image, parent=parent.config.digest if parent else None))
    return result


def _can_be_parent(child: ImageConfig, parent: ImageConfig) -> bool:
    """A parent's history is the child's without its last step, and its layers are the child's first ones."""
    if not child.history and not parent.history:
        return True
    same_layers = child.diff_ids[: len(parent.diff_ids)] == parent.diff_ids
    return same_layers and child.history[:-1] == parent.history
