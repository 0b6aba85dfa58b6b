"""A stack of layers as one tree, as overlayfs shows it mounted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from lamina.formats.digest import Digest
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer import Layer
from lamina.layers.tree import Content, Node, Tree, name_key

_MAX_KNOWN = 20_000

_Stack = list[tuple[int, Node]]


class UnionTree:
    """A Tree over several, the bottom one first: upper names hide lower ones, directories are merged.

    The numbers of its nodes tell the files of all layers apart. It closes nothing: the layers belong to the caller.
    Safe to share between threads as far as the layers are.
    """

    def __init__(self, layers: Sequence[Tree]) -> None:
        self._layers = tuple(layers)
        roots = ((number, layer.lookup("")) for number, layer in reversed(list(enumerate(self._layers))))
        self._root = _visible([(number, root) for number, root in roots if root is not None])
        self._known: dict[str, _Stack] = {}

    def lookup(self, path: str) -> Node | None:
        stack = self._stack(path)
        return self._shown(stack) if stack else None

    def children(self, path: str) -> Iterator[Node]:
        stack = self._stack(path)
        merged: dict[str, _Stack] = {}
        for layer, directory in stack:
            if directory.is_directory:
                for node in self._layers[layer].children(directory.entry.path):
                    merged.setdefault(node.entry.name, []).append((layer, node))
        nodes = [self._shown(visible) for stacked in merged.values() if (visible := _visible(stacked))]
        yield from sorted(nodes, key=name_key)

    def read(self, node: Node) -> Content:
        return self._layers[node.source].read(self.in_layer(node))

    def in_layer(self, node: Node) -> Node:
        """Return the node of the same file in the tree of its layer."""
        return dataclasses.replace(node, ino=node.ino // len(self._layers))

    def borrows(self, path: str) -> bool:
        """Return whether `path` is a directory that its topmost layer only implies, and one below describes."""
        stack = self._stack(path)
        return bool(stack) and stack[0][1].implied and not self._shown(stack).implied

    def _stack(self, path: str) -> _Stack:
        """Return the visible files at `path`, from the top: a single file, or directories to be merged."""
        parts = [part for part in path.split("/") if part]
        depth = len(parts)
        while depth and "/".join(parts[:depth]) not in self._known:
            depth -= 1
        stack = self._known["/".join(parts[:depth])] if depth else self._root
        for number in range(depth, len(parts)):
            if not stack:
                break
            stack = self._below(stack, parts[number])
            if len(self._known) >= _MAX_KNOWN:
                self._known = {}
            self._known["/".join(parts[: number + 1])] = stack
        return stack

    def _below(self, stack: _Stack, name: str) -> _Stack:
        stacked: _Stack = []
        for layer, directory in stack:
            if directory.is_directory:
                node = self._layers[layer].lookup(_joined(directory.entry.path, name))
                if node is not None:
                    stacked.append((layer, node))
        return _visible(stacked)

    def _shown(self, stack: _Stack) -> Node:
        """Return the topmost file that is not implied: implied directories take the attributes of a lower layer."""
        layer, node = next((pair for pair in stack if not pair[1].implied), stack[0])
        nlink = node.nlink if len(stack) == 1 else 1
        ino = node.ino * len(self._layers) + layer
        return dataclasses.replace(node, ino=ino, nlink=nlink, source=layer, opaque=False)


class StackTree(UnionTree):
    """The files of a stack of layers, the bottom one first. The collector closes what it opens."""

    def __init__(self, layers: Sequence[Layer], below: StackTree | None = None) -> None:
        """Open the layers, but for those that `below` has open. Raise Corrupt, OSError."""
        opened = below.trees if below else {}
        self.trees: dict[Digest, LayerTree] = {
            layer.diff_id: opened.get(layer.diff_id) or LayerTree.open(layer.index, layer.tar) for layer in layers
        }
        super().__init__([self.trees[layer.diff_id] for layer in layers])
        self._diff_ids = tuple(layer.diff_id for layer in layers)

    def layer_of(self, node: Node) -> Digest:
        """Return the diff-id of the layer that a node is from."""
        return self._diff_ids[node.source]


def _visible(stack: _Stack) -> _Stack:
    """Return the files of one name, from the top, that no file above hides."""
    visible: _Stack = []
    for layer, node in stack:
        if not node.is_directory:
            if not visible and not node.is_whiteout:
                visible.append((layer, node))
            break
        visible.append((layer, node))
        if node.opaque:
            break
    return visible


def _joined(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
