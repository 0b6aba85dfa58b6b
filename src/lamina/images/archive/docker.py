"""docker-archive, in its two ages (moby: image/tarexport, image/v1).

Since Docker 1.10, `manifest.json` lists the images. Before, there was one directory for each layer and `repositories`
for the names. Each directory has `json` (the config of that age, with `parent`) and `layer.tar`; the configs of today
are made from them as dockerd does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from lamina.errors import InvalidInput
from lamina.formats.config import History, ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.document import bad_field, decode_object, encode, mapping, strings, text
from lamina.formats.manifest import Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.archive.intake import Intake
from lamina.images.archive.plan import PlannedImage, tags

MANIFEST = "manifest.json"
_MANIFEST_WHAT = "archive's manifest.json"
REPOSITORIES = "repositories"
_LEGACY_WHAT = "archive's layer config"
_DROPPED = frozenset({"id", "parent", "Size", "parent_id", "layer_id", "throwaway"})
_MAX_DEPTH = 1000


class ManifestItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image in `manifest.json`."""

    config: str = msgspec.field(name="Config")
    layers: list[str] | None = msgspec.field(name="Layers", default=None)
    repo_tags: list[str] | None = msgspec.field(name="RepoTags", default=None)
    parent: str | None = msgspec.field(name="Parent", default=None)


def plan(intake: Intake, manifests: Mapping[Digest, Manifest], platform: Platform | None) -> list[PlannedImage]:
    """Return the images that `manifest.json` lists, those for `platform` only where one is given.

    `manifests` are the OCI manifests that the archive holds as well, by config. Raise InvalidInput, NotFound.
    """
    try:
        items = msgspec.json.decode(intake.document(MANIFEST), type=list[ManifestItem])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        problem, _, path = str(error).partition(" - at `$")
        raise bad_field(_MANIFEST_WHAT, path.rstrip("`") or "$", problem) from error
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
    """Drop parents that are not in the same archive or cannot be parents."""
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
    """Return whether the parent's history is the child's without its last step, and its layers the child's first."""
    if not child.history and not parent.history:
        return True
    same_layers = child.diff_ids[: len(parent.diff_ids)] == parent.diff_ids
    return same_layers and child.history[:-1] == parent.history


@dataclass(frozen=True, slots=True)
class _LegacyImage:
    image: PlannedImage
    history: tuple[History, ...]


def plan_legacy(intake: Intake, platform: Platform | None) -> list[PlannedImage]:
    """Return the images that `repositories` names, and the parents they stand on. Raise InvalidInput, NotFound."""
    images: dict[str, _LegacyImage] = {}
    names: dict[str, list[Reference]] = {}
    for name, tagged in _repositories(intake).items():
        for tag, old_id in tagged.items():
            names.setdefault(old_id, []).append(Reference.parse(name).with_tag(tag))
    for old_id in names:
        _make(intake, old_id, images)
    planned = []
    for old_id, item in images.items():
        if platform is None or item.image.config.platform.matches(platform):
            image = item.image
            references = tuple(names.get(old_id, ()))
            planned.append(PlannedImage(image.config, image.layer_paths, references, image.parent))
    return planned


def _repositories(intake: Intake) -> dict[str, dict[str, str]]:
    try:
        return msgspec.json.decode(intake.document(REPOSITORIES), type=dict[str, dict[str, str]])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the archive's repositories file is not as it should be: {error}") from error


def _make(intake: Intake, old_id: str, images: dict[str, _LegacyImage]) -> None:
    """Make `old_id` and its ancestors, lowest first."""
    line: list[tuple[str, dict[str, Any]]] = []
    current = old_id
    while current and current not in images:
        document = decode_object(intake.document(f"{current}/json"), _LEGACY_WHAT)
        line.append((current, document))
        if len(line) > _MAX_DEPTH:
            raise InvalidInput(f"the parents of layer {old_id!r} in the archive have no end")
        current = text(document, "parent", _LEGACY_WHAT)
    for name, document in reversed(line):
        below = images.get(text(document, "parent", _LEGACY_WHAT))
        images[name] = _one(intake, name, document, below)


def _one(intake: Intake, name: str, document: dict[str, Any], below: _LegacyImage | None) -> _LegacyImage:
    path = f"{name}/layer.tar"
    paths = (*(below.image.layer_paths if below else ()), path)
    diff_ids = (*(below.image.config.diff_ids if below else ()), intake.layer(path))
    history = (*(below.history if below else ()), _history(document))
    config = ImageConfig.parse(
        encode(
            {key: value for key, value in document.items() if key not in _DROPPED}
            | {"rootfs": {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}}
            | {"history": [step.to_json() for step in history]}
        )
    )
    parent: Digest | None = below.image.config.digest if below else None
    return _LegacyImage(PlannedImage(config, paths, parent=parent), history)


def _history(document: Mapping[str, Any]) -> History:
    ran = strings(mapping(document, "container_config", _LEGACY_WHAT) or {}, "Cmd", _LEGACY_WHAT, "container_config.")
    created = document.get("created")
    if created is not None and not isinstance(created, str):
        raise bad_field(_LEGACY_WHAT, "created", "a string is needed")
    return History(
        created=created,
        created_by=" ".join(ran),
        comment=text(document, "comment", _LEGACY_WHAT),
        author=text(document, "author", _LEGACY_WHAT),
    )
