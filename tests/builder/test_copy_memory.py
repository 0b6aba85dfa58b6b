"""A COPY of unchanged files is known by their state: nothing is read, and a change of any kind is noticed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.builder.context.directory import DirectoryTree, IgnoringTree
from lamina.builder.context.source import from_directory
from lamina.builder.context.tree_state import TreeState, tree_state
from lamina.dockerfile.ignore import IgnoreMatcher, parse_ignore
from lamina.layers.tree import Content, Node
from support.waiting import eventually
from support.workshop import Workshop

LONG_AGO = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "app/deep").mkdir(parents=True)
    (root / "app/main.py").write_text("print(1)\n")
    (root / "app/deep/data").write_text("data\n")
    (root / "other").write_text("other\n")
    return root


@pytest.fixture
def tree(folder: Path) -> Iterator[DirectoryTree]:
    tree = DirectoryTree(folder)
    yield tree
    tree.close()


def state(tree: object, *paths: str) -> TreeState:
    whole = tree_state(tree, paths)
    assert whole is not None
    return whole


def _content(root: Path) -> None:
    (root / "app/deep/data").write_text("DATA\n")
    os.utime(root / "app/deep/data", (LONG_AGO, LONG_AGO))


def _mode(root: Path) -> None:
    (root / "app/main.py").chmod(0o755)


def _added(root: Path) -> None:
    (root / "app/deep/new").touch()


def _removed(root: Path) -> None:
    (root / "app/main.py").unlink()


def _renamed(root: Path) -> None:
    (root / "app/main.py").rename(root / "app/first.py")


def _linked(root: Path) -> None:
    (root / "hard").hardlink_to(root / "app/main.py")


def _swapped(root: Path) -> None:
    (root / "app/main.py").rename(root / "kept")
    (root / "app/deep/data").rename(root / "app/main.py")
    (root / "kept").rename(root / "app/deep/data")


@pytest.mark.parametrize("change", [_content, _mode, _added, _removed, _renamed, _linked, _swapped])
def test_every_change_gives_another_state(folder: Path, tree: DirectoryTree, change: object) -> None:
    before = state(tree, "app")
    assert state(tree, "app").digest == before.digest
    assert callable(change)
    change(folder)
    assert state(tree, "app").digest != before.digest


def test_a_state_is_of_the_named_files_alone(folder: Path, tree: DirectoryTree) -> None:
    before = state(tree, "app").digest, state(tree, "app", "other").digest
    (folder / "other").write_text("changed\n")
    after = state(tree, "app").digest, state(tree, "app", "other").digest
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_what_a_symlink_leads_to_counts(folder: Path, tree: DirectoryTree) -> None:
    (folder / "app/link").symlink_to("../other")
    before = state(tree, "app").digest
    (folder / "other").write_text("changed\n")
    assert state(tree, "app").digest != before


def test_a_source_that_is_a_symlink_counts_with_its_target(folder: Path, tree: DirectoryTree) -> None:
    (folder / "link").symlink_to("other")
    before = state(tree, "link").digest
    (folder / "other").write_text("changed\n")
    assert state(tree, "link").digest != before


def test_files_that_changed_a_moment_ago_are_not_settled(folder: Path, tree: DirectoryTree) -> None:
    (folder / "other").write_text("now\n")
    assert not state(tree, "other").settled


def test_a_missing_file_and_a_path_through_a_symlink_have_no_state(folder: Path, tree: DirectoryTree) -> None:
    (folder / "way").symlink_to("app")
    assert tree_state(tree, ["missing"]) is None
    assert tree_state(tree, ["way/main.py"]) is None


def test_ignored_files_do_not_count(folder: Path, tree: DirectoryTree) -> None:
    ignoring = IgnoringTree(tree, IgnoreMatcher(parse_ignore("app/deep\n**/*.log\n")))
    before = state(ignoring, "app").digest
    (folder / "app/deep/data").write_text("changed\n")
    assert state(ignoring, "app").digest == before
    (folder / "app/main.py").write_text("changed\n")
    assert state(ignoring, "app").digest != before


def test_files_that_a_line_brings_back_count(folder: Path, tree: DirectoryTree) -> None:
    ignoring = IgnoringTree(tree, IgnoreMatcher(parse_ignore("app\n!app/deep\n")))
    before = state(ignoring, "").digest
    (folder / "app/deep/data").write_text("changed\n")
    assert state(ignoring, "").digest != before


class CountingTree(DirectoryTree):
    """A directory that counts the folders that were listed as nodes, and the files that were read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.listed = self.read_files = 0

    def children(self, path: str) -> Iterator[Node]:
        self.listed += 1
        return super().children(path)

    def read(self, node: Node) -> Content:
        self.read_files += 1
        return super().read(node)


def built(workshop: Workshop, folder: Path) -> tuple[str, CountingTree]:
    context = from_directory(folder)
    context.tree = tree = CountingTree(folder)
    image = workshop.run(context).image
    tree.close()
    return str(image.id), tree


def test_a_cached_copy_makes_no_nodes_and_reads_no_file(workshop: Workshop) -> None:
    files = {f"d/{number}": f"file {number}\n" for number in range(30)}
    folder = workshop.context("FROM scratch\nCOPY d /d\n", files)
    with from_directory(folder) as context:
        eventually(lambda: state(context.tree, "d").settled)
    first, tree = built(workshop, folder)
    assert tree.read_files == 30
    again, tree = built(workshop, folder)
    assert (again, tree.listed, tree.read_files) == (first, 0, 0)
    (folder / "d/7").write_text("another\n")
    changed, tree = built(workshop, folder)
    assert changed != first
    assert tree.listed == 1
