"""Merging and taking differences. Mostly they only put other layers on top of each other.

Rule: moby/buildkit, docs/dev/merge-diff.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from lamina.builder.difference import Difference
from lamina.builder.layer_plan import with_links, write_files
from lamina.builder.ops.result import Result, write_layer
from lamina.layers.layer import Layer
from lamina.store.store import Store


def merged(inputs: Sequence[Result]) -> Result:
    """Return all inputs on top of each other, the first one at the bottom."""
    layers: list[Layer] = []
    for result in inputs:
        layers += result.layers
    return Result(layers, max((result.time_ns for result in inputs), default=0))


def difference(lower: Result, upper: Result, store: Store) -> Result:
    """Return what `upper` has and `lower` has not: the layers on top of it, else one layer of what differs."""
    count = len(lower.layers)
    if upper.layers[:count] == lower.layers:
        return Result(upper.layers[count:], upper.time_ns)
    files = Difference(upper.tree, lower.tree)
    layer = write_layer(store, lambda builder: write_files(builder, with_links(files.below())))
    return Result([layer], upper.time_ns)
