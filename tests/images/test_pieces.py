"""Archives as pieces: bytes and ranges of files, and what they make together."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lamina.errors import Corrupt, NotFound
from lamina.images.archive.save import FileRange, Pieces, copy_to, size_of
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar.writer import TarWriter
from support.gallery import Gallery


def test_pieces_make_the_archive_that_save_writes(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1" * 5000}, {"b": b"2"}, {"a": b"1" * 5000}, names=["app:1"])
    sink, copied = io.BytesIO(), io.BytesIO()
    gallery.images.save(["app:1"], sink)

    with gallery.images.archive(["app:1"]) as pieces:
        copy_to(pieces, copied.write)

    assert copied.getvalue() == sink.getvalue()
    assert size_of(pieces) == len(sink.getvalue())
    ranges = [piece for piece in pieces if isinstance(piece, FileRange)]
    assert [part.path for part in ranges] == list(dict.fromkeys(layer.tar for layer in image.layers))
    assert [event[0] for event in gallery.events()][-2:] == ["save", "save"]


def test_layers_stay_while_the_archive_is_written(gallery: Gallery) -> None:
    gallery.image({"a": b"1"}, names=["app:1"])

    with gallery.images.archive(["app:1"]) as pieces:
        gallery.images.remove("app:1")
        gallery.store.collect()
        copied = io.BytesIO()
        copy_to(pieces, copied.write)

    with tarfile.open(fileobj=io.BytesIO(copied.getvalue())) as opened:
        assert "manifest.json" in opened.getnames()
    assert gallery.images.find("app:1") is None


def test_an_unknown_image_is_told_before_anything_else(gallery: Gallery) -> None:
    with pytest.raises(NotFound), gallery.images.archive(["nothing:1"]):
        pytest.fail("there is no such image")


def test_a_file_that_became_shorter_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(b"only this")
    heard: list[bytes] = []

    with pytest.raises(Corrupt, match="2 bytes shorter"):
        copy_to([b"head", FileRange(tmp_path / "layer", 5, 6)], heard.append)

    assert b"".join(heard) == b"headthis"


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 70_000])
@pytest.mark.parametrize("name", ["short", "x" * 300])
def test_a_member_put_in_by_others_is_like_one_that_was_added(tmp_path: Path, size: int, name: str) -> None:
    data, entry = bytes(range(256)) * 300, Entry(name, EntryType.REGULAR, size=size)
    (tmp_path / "data").write_bytes(b"***" + data)
    added, pieces = io.BytesIO(), Pieces()
    plain, around = TarWriter(added), TarWriter(pieces)
    plain.add(entry, data[:size])

    with around.around(entry):
        pieces.put(FileRange(tmp_path / "data", 3, size))

    assert around.offset == plain.offset
    for writer in (plain, around):
        writer.add(Entry("next", EntryType.REGULAR, size=4), b"more")
        writer.close()
    copied = io.BytesIO()
    copy_to(pieces.done(), copied.write)
    assert copied.getvalue() == added.getvalue()
