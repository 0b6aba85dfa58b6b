"""The init layer: what stands between an image and a container's own layer, so that the runtime has real places to
mount on and to make devices in.

Rule: moby daemon/initlayer/setup_unix.go. A directory or file that the image lacks is made there. Whatever else is in
its place, a symlink above all, is replaced: the runtime programs make and mount by path, and a link would lead them
out of the container. Nothing of it is ever seen as a change that `diff`, `commit` or a build would keep.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from lamina.layers.entry import Entry, EntryType

DIRECTORIES = ("dev", "dev/pts", "dev/shm", "proc", "sys", "etc")
FILES = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")
MTAB = "etc/mtab"


def init_entries(lookup: Callable[[str], Entry | None]) -> list[Entry]:
    """Return what has to be put over a tree, parents first.

    `lookup` returns the tree's entry at a path, or None; it follows no symlinks.
    """
    entries: dict[str, Entry] = {}

    def present(path: str) -> EntryType | None:
        parent = posixpath.dirname(path)
        if parent in entries and entries[parent].type is EntryType.DIRECTORY:
            return None  # below a new directory there is nothing
        entry = lookup(path)
        return entry.type if entry is not None else None

    for path in DIRECTORIES:
        if present(path) is not EntryType.DIRECTORY:
            entries[path] = Entry(path, EntryType.DIRECTORY, 0o755)
    for path in FILES:
        if present(path) not in (EntryType.REGULAR, EntryType.HARDLINK, EntryType.DIRECTORY):
            entries[path] = Entry(path, EntryType.REGULAR, 0o755)
    if present(MTAB) is None:
        entries[MTAB] = Entry(MTAB, EntryType.SYMLINK, 0o777, target="/proc/mounts")
    return [entries[path] for path in sorted(entries)]
