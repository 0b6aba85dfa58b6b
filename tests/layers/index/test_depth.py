"""Deep trees cost what their files cost, not that times their depth."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lamina.layers.entry import Entry, EntryType
from lamina.layers.index.image import IndexImage
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.tree import Tree, walk
from lamina.layers.union import UnionTree

DEPTH = 600


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[LayerTree]:
    """One directory in the other."""
    with LayerBuilder(tmp_path / "tar", tmp_path / "index") as builder:
        for level in range(1, DEPTH + 1):
            builder.add(Entry("/".join("d" * level), EntryType.DIRECTORY, mode=0o755), None)
        builder.finish()
    with LayerTree.open(tmp_path / "index", tmp_path / "tar") as tree:
        yield tree


def _reads(work: Callable[[], Any]) -> int:
    """How many inodes it reads."""
    calls: Counter[object] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls[IndexImage.inode.__code__]


def _looked_up(tree: Tree) -> None:
    """As a comparison does that goes down another tree."""
    path = ""
    while below := list(tree.children(path)):
        path = below[0].entry.path
        assert tree.lookup(path) is not None


@pytest.mark.parametrize("union", [False, True], ids=["layer", "union"])
@pytest.mark.parametrize("way", [lambda tree: list(walk(tree)), _looked_up], ids=["walked", "looked up"])
def test_each_file_is_read_a_few_times(deep: LayerTree, way: Callable[[Tree], Any], union: bool) -> None:
    assert _reads(lambda: way(UnionTree([deep]) if union else deep)) < 5 * DEPTH
