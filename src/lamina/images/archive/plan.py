"""What an archive says is in it: images to make, before anything is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lamina.errors import Corrupt, InvalidInput
from lamina.formats.config import ImageConfig
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.formats.reference import Reference
from lamina.images.archive.intake import Intake
from lamina.store.leases import Lease
from lamina.store.store import Store


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image of an archive: config, the members that hold its layers (bottom first), names, parent, manifest."""

    config: ImageConfig
    layer_paths: tuple[str, ...]
    references: tuple[Reference, ...] = ()
    parent: Digest | None = None
    manifest: Manifest | None = None


def check_layers(store: Store, lease: Lease, intake: Intake, image: PlannedImage) -> None:
    """Make sure that each layer of the config is there and is what the config says.

    A layer that the archive leaves out is fine where the store has it. Raise NotFound, Corrupt, InvalidInput.
    """
    expected = image.config.diff_ids
    if len(expected) != len(image.layer_paths):
        raise InvalidInput(
            f"invalid manifest, layers length mismatch: expected {len(image.layer_paths)}, got {len(expected)}",
            image=str(image.config.digest),
        )
    for position, (diff_id, path) in enumerate(zip(expected, image.layer_paths, strict=True)):
        if not intake.has(path) and lease.add(diff_id) and store.layers.has(diff_id):
            continue
        actual = intake.layer(path)
        if actual != diff_id:
            raise Corrupt(
                f"invalid diffID for layer {position}: expected {str(diff_id)!r}, got {str(actual)!r}",
                expected=diff_id,
                found=actual,
                path=path,
            )


def tags(texts: Sequence[str]) -> tuple[Reference, ...]:
    """Return the names in an archive. Raise InvalidInput for one without a tag."""
    references = []
    for text in texts:
        reference = Reference.parse(text)
        if reference.tag is None or reference.digest is not None:
            raise InvalidInput(f"invalid tag {text!r} in the archive", reference=text)
        references.append(reference)
    return tuple(references)
