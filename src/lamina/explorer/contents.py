"""Whether files have the same bytes."""

from __future__ import annotations

import hashlib

from lamina.cancellation import NEVER, Cancellation
from lamina.layers.entry import EntryType
from lamina.layers.tree import Node, Tree

_PIECE = 1 << 20


def same_content(one_tree: Tree, one: Node, other_tree: Tree, other: Node, cancellation: Cancellation = NEVER) -> bool:
    """Return whether two files are of one type with the same bytes, link text or device number. Raise Cancelled."""
    first, second = one.entry, other.entry
    if first.type is not second.type:
        return False
    if first.type is not EntryType.REGULAR:
        return (first.target, first.major, first.minor) == (second.target, second.major, second.minor)
    if first.size != second.size:
        return False
    with one_tree.read(one) as before, other_tree.read(other) as after:
        while piece := before.read(_PIECE):
            cancellation.check()  # a file with holes may be of any size
            if piece != after.read(len(piece)):
                return False
    return True


def content_digest(tree: Tree, node: Node, cancellation: Cancellation = NEVER) -> bytes:
    """Return what tells the bytes of a REGULAR node from all others. Raise Cancelled."""
    digest = hashlib.sha256()
    with tree.read(node) as content:
        while piece := content.read(_PIECE):
            cancellation.check()
            digest.update(piece)
    return digest.digest()
