"""A damaged or malicious index gives Corrupt, or wrong contents: never another error, a crash or a walk without end."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest

from lamina.errors import Corrupt, InvalidInput
from lamina.layers.entry import Entry, EntryType
from lamina.layers.index import format as erofs
from lamina.layers.index.changeset import Changeset
from lamina.layers.index.tree import LayerTree
from lamina.layers.index.writer import IndexWriter
from lamina.layers.tree import walk
from lamina.layers.union import UnionTree
from layers.index.generate import Layers, build

ROUNDS = int(os.environ.get("LAMINA_SEEDS", "50")) * 40


def visit(index: Path, tar: Path) -> int:
    """Reads everything there is, and gives how much that was."""
    seen = 0
    with LayerTree.open(index, tar) as tree:
        for node in walk(UnionTree([tree])):
            seen += 1
            if node.entry.type is EntryType.REGULAR:
                with UnionTree([tree]).read(node) as stream:
                    stream.read(100_000)
    return seen


def test_flipped_bytes(tmp_path: Path) -> None:
    tar, good, bad = tmp_path / "layer.tar", tmp_path / "good.erofs", tmp_path / "bad.erofs"
    build(Layers(7).items(60, whiteouts=True, replacing=True), tar, good)
    image = good.read_bytes()
    dice = random.Random(11)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(ROUNDS):
        damaged = bytearray(image)
        for _ in range(dice.choice((1, 2, 8))):
            at = dice.randrange(erofs.SUPER_OFFSET, len(image))
            damaged[at] = dice.choice((0, 0xFF, dice.randrange(256), damaged[at] ^ 1 << dice.randrange(8)))
        bad.write_bytes(damaged[: dice.choice((len(image), len(image), dice.randrange(len(image))))])
        try:
            assert visit(bad, tar) < 10_000
            outcomes["read"] += 1
        except Corrupt:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > ROUNDS // 20


def directory_at(image: bytes | bytearray, nid: int) -> int:
    meta: int = struct.unpack_from("<I", image, erofs.SUPER_OFFSET + 40)[0] * erofs.BLOCK
    return meta + nid * erofs.SLOT + erofs.INODE_SIZE


@pytest.mark.parametrize("to_root", [True, False])
def test_a_directory_that_contains_itself_is_refused(tmp_path: Path, to_root: bool) -> None:
    writer, index, tar = IndexWriter(), tmp_path / "layer.erofs", tmp_path / "layer.tar"
    writer.add(Entry("a", EntryType.DIRECTORY))
    writer.add(Entry("a/b", EntryType.DIRECTORY))
    writer.write(index, 0)
    tar.touch()
    with LayerTree.open(index, tar) as tree:
        node = tree.lookup("a")
        assert node is not None
    image = bytearray(index.read_bytes())
    third_record = directory_at(image, node.ino) + 2 * erofs.DIRENT_SIZE
    struct.pack_into("<Q", image, third_record, 0 if to_root else node.ino)
    index.write_bytes(image)
    with pytest.raises(Corrupt):
        visit(index, tar)


def test_a_tar_that_is_shorter_than_its_index_says(tmp_path: Path) -> None:
    writer, index, tar = IndexWriter(), tmp_path / "layer.erofs", tmp_path / "layer.tar"
    writer.add(Entry("file", EntryType.REGULAR, size=2000, data_offset=512))
    writer.write(index, 4096)
    tar.write_bytes(bytes(1024))
    with pytest.raises(Corrupt):
        visit(index, tar)


def test_a_wrong_number_of_tars(tmp_path: Path) -> None:
    IndexWriter().write(tmp_path / "layer.erofs", [512, 512])
    with pytest.raises(Corrupt):
        LayerTree.open(tmp_path / "layer.erofs", tmp_path / "one.tar")


def write(entries: list[Entry], index: Path) -> None:
    writer = IndexWriter()
    for entry in entries:
        writer.add(entry)
    writer.write(index, 1024)


@pytest.mark.parametrize(
    "entries",
    [
        [Entry("a", EntryType.HARDLINK, target="missing")],
        [Entry("d", EntryType.DIRECTORY), Entry("a", EntryType.HARDLINK, target="d")],
        [Entry(".wh.a", EntryType.REGULAR), Entry("b", EntryType.HARDLINK, target="a")],
        [Entry("f", EntryType.FIFO), Entry("f/below", EntryType.FIFO)],
        [Entry("x" * 256, EntryType.FIFO)],
        [Entry("", EntryType.REGULAR)],
        [Entry(".wh.", EntryType.REGULAR)],
        [Entry("l", EntryType.SYMLINK, target="l"), Entry("l/below", EntryType.FIFO)],
        [Entry("l", EntryType.SYMLINK, target="")],
        [Entry("l", EntryType.SYMLINK, target="x" * 4096)],
        [Entry("f", EntryType.REGULAR, size=10, data_offset=100)],
        [Entry("f", EntryType.REGULAR, size=10, data_offset=1024)],
        [Entry("f", EntryType.REGULAR, size=9, sparse=((5, 2), (4, 2)), data_offset=0)],
        [Entry("f", EntryType.REGULAR, size=9, sparse=((5, 5),), data_offset=0)],
        [Entry("f", EntryType.REGULAR, xattrs={"user.": b""})],
        [Entry("f", EntryType.REGULAR, xattrs={"user." + "x" * 300: b""})],
    ],
)
def test_what_no_unpacker_could_do_is_refused(tmp_path: Path, entries: list[Entry]) -> None:
    with pytest.raises(InvalidInput):
        write(entries, tmp_path / "layer.erofs")


def test_symlinks_on_the_way_stay_inside_the_layer() -> None:
    changes = Changeset()
    for entry in (
        Entry("var", EntryType.DIRECTORY),
        Entry("var/run", EntryType.SYMLINK, target="/../../run"),
        Entry("var/run/pid", EntryType.REGULAR),
        Entry("up", EntryType.SYMLINK, target="../../../etc"),
        Entry("up/passwd", EntryType.REGULAR),
    ):
        changes.add(entry, 1)
    assert changes.root.children is not None
    assert sorted(changes.root.children) == [b"etc", b"run", b"up", b"var"]
