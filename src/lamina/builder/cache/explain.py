"""Why a step had to run: what differs from the nearest earlier step.

The files of a COPY are compared in the two layers, so records need no lists of files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from lamina.api.build_steps import Difference
from lamina.builder.cache.records import Inputs, StepPlace, StepRecord, all_records, result_key, shown
from lamina.formats.digest import Digest
from lamina.images.images import Images
from lamina.layers.entry import EntryType
from lamina.layers.layer import Layer
from lamina.layers.tree import Node, Tree, walk
from lamina.layers.union import StackTree
from lamina.store.store import Store

MOST_DIFFERENCES = 100
_MOST_READ = 1 << 30  # bytes of files that are compared for one step
_CHUNK = 1 << 20


def differences(
    store: Store, images: Images, place: StepPlace, inputs: Inputs, layer: Layer | None
) -> tuple[tuple[Difference, ...], int]:
    """Return how a step differs from the nearest earlier one, at most `MOST_DIFFERENCES`, and how many are left out.

    Call it before the step itself is recorded. `layer` is what the step has made now.
    """
    key = result_key(place.keyword, inputs)
    nearest: tuple[tuple[int, ...], float, str, StepRecord] | None = None
    with store.read() as tx:
        for other, record in all_records(tx):
            score = _likeness(record, place, inputs)
            if score and (nearest is None or (score, record.used) > nearest[:2]):
                nearest = (score, record.used, other, record)
    if nearest is None:
        return (Difference("new"),), 0
    if nearest[2] == key:
        return (Difference("lost", before=nearest[3].image),), 0
    all_of_them = [*_in_inputs(nearest[3], place, inputs), *_in_files(images, nearest[3], inputs, layer)]
    return tuple(all_of_them[:MOST_DIFFERENCES]), max(0, len(all_of_them) - MOST_DIFFERENCES)


def _likeness(record: StepRecord, place: StepPlace, inputs: Inputs) -> tuple[int, ...]:
    """Return how near a record is, () for one that is no earlier version of the step."""
    same_text = record.instruction == place.instruction
    same_place = (record.project, record.stage, record.number) == (place.project, place.stage, place.number)
    if record.keyword != place.keyword or not (same_text or same_place):
        return ()
    equal = sum(record.inputs.get(name) == shown(value) for name, value in inputs.items())
    return (same_text + same_place, same_text, equal)


def _in_inputs(record: StepRecord, place: StepPlace, inputs: Inputs) -> Iterator[Difference]:
    if record.instruction != place.instruction:
        yield Difference("instruction", "", record.instruction, place.instruction)
    for name in sorted({*record.inputs, *inputs} - {"files", "instruction"}):
        before, after = record.inputs.get(name, ""), shown(inputs.get(name, ""))
        if before != after:
            kind, _, rest = name.partition(" ")
            yield Difference(kind, rest, before, after)


def _in_files(images: Images, record: StepRecord, inputs: Inputs, layer: Layer | None) -> Iterator[Difference]:
    if "files" not in inputs or record.inputs.get("files") == inputs["files"]:
        return
    image = images.find(Digest.parse(record.image))
    earlier = image.layers[-1:] if image is not None and record.layer else ()
    before = {node.path: node for node in walk(StackTree(earlier))} if earlier else {}
    after = {node.path: node for node in walk(StackTree((layer,)))} if layer else {}
    old, new = StackTree(earlier) if earlier else None, StackTree((layer,)) if layer else None
    left = _MOST_READ
    for path in sorted({*before, *after} - {""}):
        first, second = before.get(path), after.get(path)
        yield from _of_owner(path, first, second)
        if first is not None and second is not None and first.entry.size == second.entry.size:
            left -= first.entry.size + second.entry.size
            if left < 0:
                continue
        texts = [content_of(tree, node) for tree, node in ((old, first), (new, second))]
        if texts[0] != texts[1]:
            yield Difference("file", f"/{path}", *texts)


def _of_owner(path: str, first: Node | None, second: Node | None) -> Iterator[Difference]:
    if first is None or second is None:
        return
    if first.entry.mode != second.entry.mode:
        yield Difference("mode", f"/{path}", f"{first.entry.mode:o}", f"{second.entry.mode:o}")
    owners = [f"{node.entry.uid}:{node.entry.gid}" for node in (first, second)]
    if owners[0] != owners[1]:
        yield Difference("owner", f"/{path}", *owners)


def content_of(tree: Tree | None, node: Node | None) -> str:
    """Return the digest of a file, the target of a link, else the kind; "" for a path that is not there."""
    if tree is None or node is None:
        return ""
    if node.entry.type is EntryType.SYMLINK:
        return f"link to {node.entry.target}"
    if node.entry.type is not EntryType.REGULAR:
        return str(node.entry.type.value)
    hasher = hashlib.sha256()
    with tree.read(node) as data:
        while piece := data.read(_CHUNK):
            hasher.update(piece)
    return f"sha256:{hasher.hexdigest()}"
