"""What a vertex makes: files, as a stack of layers or as a tree that becomes one when somebody needs it.

Files that a client sent, a repository or a download are only copied from most of the time. Then they never are a layer.
"""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from lamina.builder.file_sums import Sums
from lamina.builder.layer_plan import LayerPlan, PlannedFile, write_files
from lamina.errors import TooLarge
from lamina.formats.config import MOST_LAYERS, chain_ids
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.tree import MemoryTree, Tree, walk
from lamina.layers.union import StackTree
from lamina.store.store import Store

_SECOND = 10**9  # ns


class Result:
    """A stack of layers, the bottom one first, and the time of its newest input. Thread-safe.

    `sums` remembers what is known of the files' contents. Files without a time of their own get `time_ns`, so that the
    same inputs give the same bytes whenever they are built.
    """

    def __init__(self, layers: Sequence[Layer] = (), time_ns: int = 0, below: Result | None = None) -> None:
        """`below` is a result whose open layers are used again. Raise TooLarge for more than an image can have."""
        if len(layers) > MOST_LAYERS:
            raise TooLarge(f"a result of the graph has more than {MOST_LAYERS} layers", limit=MOST_LAYERS)
        self._layers: tuple[Layer, ...] | None = tuple(layers)
        self._below = below
        self._tree: Tree | None = None
        self._lock = threading.RLock()
        self.time_ns = time_ns
        self.sums = Sums(of_image=True)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return the layers."""
        return self._layers or ()

    @property
    def identity(self) -> str | None:
        """Return a name that only results with the same bytes share; None for what is no layer yet."""
        return None if self._layers is None else self.settled_identity

    @property
    def settled_identity(self) -> str:
        """Return that name. Loose files become a layer for it."""
        return chain_ids(layer.diff_id for layer in self.layers)[-1] if self.layers else "scratch"

    @property
    def tree(self) -> Tree:
        """Return the files."""
        with self._lock:
            if self._tree is None:
                layers = self.layers
                open_below = self._below.tree if self._below is not None else None
                below = open_below if isinstance(open_below, StackTree) else None
                self._tree = StackTree(layers, below) if layers else MemoryTree()
                self._below = None
            return self._tree


class LooseFiles(Result):
    """Files that are no layer yet. Their tree is closed by whoever opened it, when the build ends."""

    def __init__(
        self, store: Store, tree: Tree, sums: Sums, *, time_ns: int | None = None, identity: str | None = None
    ) -> None:
        """`time_ns` is by default that of the newest file. `identity` is a name that only the same files have."""
        super().__init__()
        self._identity = identity
        self._store = store
        self._layers = None
        self._tree = tree
        self.sums = sums
        newest = max((node.entry.mtime_ns for node in walk(tree)), default=0)
        self.time_ns = newest - newest % _SECOND if time_ns is None else time_ns

    @property
    def identity(self) -> str | None:
        return self._identity or super().identity

    @property
    def layers(self) -> tuple[Layer, ...]:
        with self._lock:
            if self._layers is None:
                self._layers = (write_layer(self._store, self._write),)
            return self._layers

    @property
    def tree(self) -> Tree:
        assert self._tree is not None
        return self._tree

    def _write(self, builder: LayerBuilder) -> None:
        tree = self.tree
        write_files(builder, plan_below(tree).members(self.time_ns), {id(tree): self.sums})


def plan_below(tree: Tree, top: str = "") -> LayerPlan:
    """Return the plan of a layer that has, at its root, what is below the directory `top` of a tree."""
    plan = LayerPlan(MemoryTree())
    start = len(top) + 1 if top else 0
    for node in walk(tree, top):
        if path := node.path[start:]:
            plan.make_directories(posixpath.dirname(path))
            plan.put(PlannedFile(replace(node.entry, path=path) if top else node.entry, tree, node))
    return plan


def write_layer(store: Store, fill: Callable[[LayerBuilder], object]) -> Layer:
    """Return the layer that `fill` writes, also if it is empty: a client's history counts one for each vertex.

    Raise NoSpace, Cancelled, and what `fill` raises.
    """
    with store.layers.create() as pending:
        return pending.commit(pending.fill(fill))
