"""What decides about the layer of a COPY or ADD: the files as they are in the image, without their times.

Owner and mode count as they reach the image: with --chmod the mode of a source does not matter, with --chown its owner.
A file that --exclude leaves out does not matter either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from lamina.builder.copy.sources import CopySource
from lamina.builder.file_sums import Sums
from lamina.builder.layer_plan import PlannedFile
from lamina.layers.entry import Entry, EntryType

_CHUNK = 1 << 20


def digest_of_files(
    members: Iterable[PlannedFile], archives: Iterable[CopySource], sums: Mapping[int, Sums], *, as_written: bool
) -> str:
    """Return a hash of the files of a layer that is planned.

    Docker's sum of a source also covers its name, mode and owner. `as_written` tells that the step changes these, so
    that the content has to be read. `archives` are the sources that were unpacked.
    """
    hasher = hashlib.sha256()
    for source in archives:
        hasher.update(f"{sums[id(source.tree)].of(source.tree, source.node)}\n".encode())
    for planned in members:
        hasher.update(_line(planned.entry, _content(planned, sums, as_written)))
    return hasher.hexdigest()


def _content(planned: PlannedFile, sums: Mapping[int, Sums], as_written: bool) -> str:
    tree, node = planned.tree, planned.node
    memory = sums.get(id(tree))
    if tree is None or node is None or memory is None or planned.entry.type is not EntryType.REGULAR:
        return ""
    if not as_written:
        return memory.of(tree, node)
    hasher = hashlib.sha256()
    with tree.read(node) as data:
        while piece := data.read(_CHUNK):
            hasher.update(piece)
    return hasher.hexdigest()


def _line(entry: Entry, content: str) -> bytes:
    attributes = "".join(f"{name}={value.hex()}," for name, value in sorted(entry.xattrs.items()))
    text = (
        f"{entry.path}\0{entry.type.value}\0{entry.mode:o}\0{entry.uid}:{entry.gid}\0{entry.target}\0"
        f"{entry.major}:{entry.minor}\0{attributes}\0{content}\n"
    )
    return text.encode("utf-8", "surrogateescape")
