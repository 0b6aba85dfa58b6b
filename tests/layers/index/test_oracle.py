"""erofs-utils as oracle: its checker finds nothing wrong with our images, its writer shows what ours shows, and we
read what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.layers.index.tree import LayerTree
from lamina.layers.layer_writer import ingest
from layers.index.compare import differences, list_directory, list_tree, mounted
from layers.index.generate import Layers, build
from layers.index.utils import Tool

pytestmark = [pytest.mark.root, pytest.mark.peer]

SEEDS = range(1000, 1025)


def test_the_checker_finds_nothing_wrong(tmp_path: Path, erofs_tool: Tool) -> None:
    for seed in SEEDS:
        tar, index = tmp_path / f"{seed}.tar", tmp_path / f"{seed}.erofs"
        build(Layers(seed).items(60, whiteouts=True, replacing=True), tar, index)
        erofs_tool("fsck.erofs", f"--device={tar}", index)


def compare_with_mkfs(tar: Path, index: Path, tool: Tool) -> None:
    other = index.with_suffix(".mkfs")
    tool("mkfs.erofs", "--quiet", "--tar=i", other, tar)
    with mounted(index, [tar], tar.with_suffix(".mnt")) as root:
        ours = list_directory(root)
    with mounted(other, [tar], tar.with_suffix(".mnt")) as root:
        theirs = list_directory(root)
    with LayerTree.open(other, tar) as tree:
        assert differences(theirs, list_tree(tree)) == []
    theirs[""] = ours[""]
    assert differences(ours, theirs) == []


def test_mkfs_shows_the_same(tmp_path: Path, erofs_tool: Tool) -> None:
    for seed in SEEDS:
        tar, index = tmp_path / f"{seed}.tar", tmp_path / f"{seed}.erofs"
        build(Layers(seed, plain=True).items(40, again=False), tar, index)
        compare_with_mkfs(tar, index, erofs_tool)


@pytest.mark.slow
def test_a_real_debian(tmp_path: Path, erofs_tool: Tool, debian_tar: Path) -> None:
    tar, index = tmp_path / "debian.tar", tmp_path / "debian.erofs"
    with debian_tar.open("rb") as stream:
        ingest(stream, tar, index)
    erofs_tool("fsck.erofs", f"--device={tar}", index)
    compare_with_mkfs(tar, index, erofs_tool)
