"""The places that a step mounts things on, as a read-only layer of their own, so that they never count as changes.

They are the init layer (see `sandbox.init_layers`), and the targets of `RUN --mount`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from lamina.builder.layer_plan import LayerPlan, PlannedFile, write_files
from lamina.dockerfile.position import Problem
from lamina.formats.digest import Digest
from lamina.images.image import Image
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer import Layer
from lamina.layers.tree import Tree
from lamina.layers.union import StackTree
from lamina.sandbox.init_layers import init_entries
from lamina.store.store import Store

_PLACES = (".dockerenv", "dev", "etc", "proc", "sys")


@dataclass(frozen=True, slots=True)
class MountPoints:
    """The layer of one image, kept for the next step, because most steps do not touch these places."""

    diff_ids: tuple[Digest, ...]
    layer: Layer | None

    def fits(self, image: Image, files: Tree) -> bool:
        """Return whether `image`, whose files are `files`, needs the same layer.

        It does when it is built on the image of this layer, and no layer since then has anything in those places.
        """
        count = len(self.diff_ids)
        if not isinstance(files, StackTree) or image.config.diff_ids[:count] != self.diff_ids:
            return False
        newer = [files.trees[diff_id] for diff_id in image.config.diff_ids[count:]]
        return not any(tree.lookup(place) for tree in newer for place in _PLACES)


def mountpoint_layer(
    store: Store, image: Tree, directories: Iterable[str], files: Iterable[str], *, is_root: bool = True
) -> Layer | None:
    """Return the layer that gives `image` the named mount points; None for nothing.

    The root of a container also gets the entries of its init layer.

    Raise Problem where a file of the image is in the way.
    """
    plan = LayerPlan(image)
    for entry in init_entries(plan.lookup) if is_root else ():
        plan.put(PlannedFile(entry, content=b"" if entry.type is EntryType.REGULAR else None))
    for path in directories:
        plan.make_directories(plan.resolve(path))
    for path in files:
        _make_file(plan, path)
    return store.layers.write(lambda builder: write_files(builder, plan.members(0)))


def _make_file(plan: LayerPlan, path: str) -> None:
    resolved = plan.resolve(path)
    entry = plan.lookup(resolved)
    if entry is None:
        plan.make_directories(posixpath.dirname(resolved))
        plan.put(PlannedFile(Entry(resolved, EntryType.REGULAR, 0o755), content=b""))
    elif entry.type is EntryType.DIRECTORY:
        raise Problem(f"/{path} of the image is a directory", "A file has to be mounted there.")
