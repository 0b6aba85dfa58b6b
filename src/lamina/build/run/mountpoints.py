"""The places a container mounts things on, as a read-only layer of their own, so that they never count as changes.

Rule: dockerd's init layer: what the image lacks of /proc, /sys, /dev, /etc/hosts and the like stands between the image
and the container's own layer.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from lamina.build.draft import Draft, Planned
from lamina.build.imagetree import ImageTree
from lamina.build.layering import write_layer
from lamina.build.tree import Tree
from lamina.dockerfile.position import Problem
from lamina.formats.digest import Digest
from lamina.images.image import Image
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer import Layer
from lamina.store.store import Store

DIRECTORIES = ("dev", "dev/pts", "dev/shm", "proc", "sys")
FILES = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")
_MTAB = "etc/mtab"
_PLACES = (".dockerenv", "dev", "etc", "proc", "sys")


@dataclass(frozen=True, slots=True)
class MountPoints:
    """The layer of one image, kept for the next step: most steps do not touch the places it is about."""

    diff_ids: tuple[Digest, ...]
    layer: Layer | None

    def fits(self, image: Image, files: Tree) -> bool:
        """Whether `image`, whose files are `files`, lacks the same: it is built on the one this was made for, and no
        layer since then has anything in those places."""
        known = len(self.diff_ids)
        if not isinstance(files, ImageTree) or image.config.diff_ids[:known] != self.diff_ids:
            return False
        newer = [files.trees[diff_id] for diff_id in image.config.diff_ids[known:]]
        return not any(tree.lookup(place) for tree in newer for place in _PLACES)


def mountpoint_layer(store: Store, image: Tree, directories: Iterable[str], files: Iterable[str]) -> Layer | None:
    """The layer that gives `image` what it lacks of Docker's mount points and the named ones; None for nothing.

    Raises Problem where a file of the image is in the way.
    """
    draft = Draft(image)
    for path in (*DIRECTORIES, *directories):
        draft.make_directories(draft.resolve(path))
    for path in (*FILES, *files):
        _make_file(draft, path)
    if draft.lookup(_MTAB) is None:
        draft.put(Planned(Entry(_MTAB, EntryType.SYMLINK, 0o777, target="/proc/mounts")))
    if not len(draft):
        return None
    with store.layers.create() as making:
        return making.commit(write_layer(making, draft.members(0), {}))


def _make_file(draft: Draft, path: str) -> None:
    at = draft.resolve(path)
    there = draft.lookup(at)
    if there is None:
        draft.make_directories(posixpath.dirname(at))
        draft.put(Planned(Entry(at, EntryType.REGULAR, 0o755), content=b""))
    elif there.type is EntryType.DIRECTORY:
        raise Problem(f"/{path} of the image is a directory", "A file has to be mounted there.")
