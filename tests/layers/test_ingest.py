"""Layers taken in and layers made: exact bytes, one digest, one index, and nothing said about what failed."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
from pathlib import Path

import pytest

from lamina.errors import InvalidInput, NoSpace, TooLarge
from lamina.layers.entry import Entry, EntryType
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer import Ingested
from lamina.layers.layer_writer import LayerBuilder, ingest
from lamina.layers.limits import Limits

ENTRIES = [
    (Entry("d", EntryType.DIRECTORY, 0o755, mtime_ns=10**18), None),
    (Entry("d/f", EntryType.REGULAR, size=3_000_000, mtime_ns=10**18), b"xyz" * 10**6),
    (Entry("d/e", EntryType.REGULAR), b""),
    (Entry("d/h", EntryType.HARDLINK, target="d/f"), None),
    (Entry("d/hole", EntryType.REGULAR, size=10**6, sparse=()), None),
]


def build(folder: Path, name: str = "built") -> Ingested:
    with LayerBuilder(folder / f"{name}.tar", folder / f"{name}.index") as builder:
        for entry, data in ENTRIES:
            builder.add(entry, data)
        builder.whiteout("gone")
        builder.opaque("d")
        return builder.finish()


def test_a_built_layer_is_its_tar_its_digest_and_its_index(tmp_path: Path) -> None:
    built = build(tmp_path)
    tar = (tmp_path / "built.tar").read_bytes()
    assert built.diff_id.encoded == hashlib.sha256(tar).hexdigest()
    assert (built.size, built.entries, built.file_bytes) == (len(tar), 7, 4_000_000)
    tree = LayerTree.open(tmp_path / "built.index", tmp_path / "built.tar")
    assert [node.name for node in tree.children("")] == ["d", "gone"]
    assert [node.name for node in tree.children("d")] == ["e", "f", "h", "hole"]
    node = tree.lookup("d/h")
    assert node is not None
    with tree.read(node) as file:
        assert file.read() == b"xyz" * 10**6


def test_the_same_entries_make_the_same_layer(tmp_path: Path) -> None:
    assert build(tmp_path, "one") == build(tmp_path, "two")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert (tmp_path / "one.index").read_bytes() == (tmp_path / "two.index").read_bytes()


def test_what_was_built_is_taken_in_as_the_same_layer(tmp_path: Path) -> None:
    built = build(tmp_path)
    with (tmp_path / "built.tar").open("rb") as stream:
        assert ingest(stream, tmp_path / "in.tar", tmp_path / "in.index") == built
    assert (tmp_path / "in.tar").read_bytes() == (tmp_path / "built.tar").read_bytes()
    assert (tmp_path / "in.index").read_bytes() == (tmp_path / "built.index").read_bytes()


@pytest.mark.parametrize("extra", [b"", b"behind the end" * 200_000])
def test_every_byte_is_kept_and_counts_for_the_digest(tmp_path: Path, extra: bytes) -> None:
    build(tmp_path)
    data = (tmp_path / "built.tar").read_bytes() + extra
    taken = ingest(io.BytesIO(data), tmp_path / "in.tar", tmp_path / "in.index")
    assert taken.diff_id.encoded == hashlib.sha256(data).hexdigest()
    assert taken.size == len(data)
    assert (tmp_path / "in.tar").read_bytes() == data


def test_an_archive_without_end_is_kept_without_end(tmp_path: Path) -> None:
    build(tmp_path)
    data = (tmp_path / "built.tar").read_bytes()[:-1024]
    assert ingest(io.BytesIO(data), tmp_path / "in.tar", tmp_path / "in.index").size == len(data)


def test_broken_and_oversized_archives_are_refused(tmp_path: Path) -> None:
    build(tmp_path)
    data = (tmp_path / "built.tar").read_bytes()
    for broken in (data[:2_000_000], data[:512] + b"junk" * 999):
        with pytest.raises(InvalidInput):
            ingest(io.BytesIO(broken), tmp_path / "in.tar", tmp_path / "in.index")
    for limits in (Limits(entries=2), Limits(expanded_size=10**6)):
        with pytest.raises(TooLarge):
            ingest(io.BytesIO(data), tmp_path / "in.tar", tmp_path / "in.index", limits)
    bomb = io.BytesIO(data + bytes(5_000_000))
    with pytest.raises(TooLarge):
        ingest(bomb, tmp_path / "in.tar", tmp_path / "in.index", Limits(expanded_size=len(data) + 1000))


def test_a_builder_that_is_left_early_lets_go_of_everything(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(InvalidInput):
        with LayerBuilder(tmp_path / "a.tar", tmp_path / "a.index") as builder:
            builder.add(Entry("f", EntryType.REGULAR, size=10), b"short")
    assert len(os.listdir("/proc/self/fd")) == before
    assert not (tmp_path / "a.index").exists()


@pytest.mark.root
def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        with pytest.raises(NoSpace):
            build(disk)
        build(tmp_path)
        with pytest.raises(NoSpace), (tmp_path / "built.tar").open("rb") as stream:
            ingest(stream, disk / "in.tar", disk / "in.index")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_link_is_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("safe")
    (tmp_path / "built.tar").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic"):
        build(tmp_path)
    assert (tmp_path / "victim").read_text() == "safe"
