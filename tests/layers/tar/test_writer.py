"""What the writer writes: read back by our reader, by Python's tarfile and by GNU tar, and always the same bytes."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.errors import InvalidInput
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar.reader import read_tar
from lamina.layers.tar.writer import TarWriter
from support.trees import facts

_DATA = {EntryType.CHAR, EntryType.BLOCK}


def write(members: list[tuple[Entry, bytes | None]]) -> bytes:
    out = io.BytesIO()
    writer = TarWriter(out)
    for entry, data in members:
        writer.add(entry, data)
    writer.close()
    assert writer.offset == len(out.getvalue())
    return out.getvalue()


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 256
)
paths = st.lists(names, min_size=1, max_size=6).map("/".join)
xattrs = st.dictionaries(
    st.text("abcé.%= ", min_size=1, max_size=9).map(lambda name: "user." + name.replace("%3D", "").replace("%25", "")),
    st.binary(max_size=40),
    max_size=3,
)


@st.composite
def members(draw: st.DrawFn) -> tuple[Entry, bytes | None]:
    kind = draw(st.sampled_from(list(EntryType)))
    data = draw(st.binary(max_size=2000)) if kind is EntryType.REGULAR else None
    size, sparse = len(data or b""), None
    if data and draw(st.booleans()):
        half = len(data) // 2
        size = len(data) + 5000
        sparse = tuple(piece for piece in ((100, half), (4000 + half, len(data) - half)) if piece[1])
    links = kind in (EntryType.SYMLINK, EntryType.HARDLINK)
    return Entry(
        draw(paths),
        kind,
        draw(st.integers(0, 0o7777)),
        draw(st.integers(0, 2**32 - 2)),
        draw(st.integers(0, 2**32 - 2)),
        size,
        draw(st.integers(-(2**62), 2**63 - 1)),
        draw(paths) if links else "",
        draw(st.integers(0, 4095)) if kind in _DATA else 0,
        draw(st.integers(0, 2**20 - 1)) if kind in _DATA else 0,
        dict(sorted(draw(xattrs).items(), key=lambda item: os.fsencode(item[0]))),
        draw(st.text("abü", max_size=40)),
        draw(st.text("abü", max_size=40)),
        sparse,
    ), data


@settings(deadline=None, max_examples=200)
@given(st.lists(members(), max_size=5))
def test_whatever_is_written_is_read_back(written: list[tuple[Entry, bytes | None]]) -> None:
    archive = write(written)
    assert write(written) == archive
    found = [(member.entry, member.data.read()) for member in read_tar(io.BytesIO(archive))]
    for (entry, data), (back, stored) in zip(written, found, strict=True):
        fields = {name: getattr(back, name) for name in Entry.__slots__ if name != "data_offset"}
        assert fields == {name: getattr(entry, name) for name in fields}
        assert stored == (data or b"")
        if entry.size:
            assert archive[back.data_offset : back.data_offset + len(stored)] == stored
        else:
            assert back.data_offset == -1


@settings(deadline=None, max_examples=100)
@given(st.lists(members(), max_size=5))
def test_tarfile_reads_the_same(written: list[tuple[Entry, bytes | None]]) -> None:
    with tarfile.open(fileobj=io.BytesIO(write(written)), errors="surrogateescape") as archive:
        for (entry, data), member in zip(written, archive.getmembers(), strict=True):
            assert (member.name, member.uid, member.gid) == (entry.path, entry.uid, entry.gid)
            assert (member.mode, member.linkname) == (entry.mode, entry.target)
            if entry.type is EntryType.REGULAR:
                file = archive.extractfile(member)
                assert file is not None
                whole = bytearray(entry.size)
                left = data or b""
                for offset, length in entry.sparse or ((0, entry.size),):
                    whole[offset : offset + length], left = left[:length], left[length:]
                assert file.read() == bytes(whole)


def test_nothing_but_ustar_is_written_where_that_suffices() -> None:
    archive = write(
        [
            (Entry("", EntryType.DIRECTORY, 0o755), None),
            (Entry("d", EntryType.DIRECTORY, 0o755), None),
            (Entry("d/" * 70 + "f" * 100, EntryType.REGULAR, size=3, mtime_ns=10**18), b"abc"),
        ]
    )
    assert len(archive) == 4 * 512 + 1024
    assert archive[0:3] == b"./\0"
    assert archive[512:515] == b"d/\0"
    assert archive[257:265] == b"ustar\x0000"


@pytest.mark.root
def test_gnu_tar_unpacks_what_was_meant(tmp_path: Path) -> None:
    entries = [
        (Entry("d", EntryType.DIRECTORY, 0o1777, 5, 6, mtime_ns=10**18), None),
        (
            Entry("d/" + "x" * 200, EntryType.REGULAR, 0o4711, 3000000, 7, 4, 10**18 + 5, xattrs={"user.a": b"\0b"}),
            b"abcd",
        ),
        (Entry("d/hard", EntryType.HARDLINK, target="d/" + "x" * 200), None),
        (Entry("d/soft", EntryType.SYMLINK, 0o777, mtime_ns=10**18, target="../" * 60), None),
        (Entry("d/null", EntryType.CHAR, 0o666, mtime_ns=10**18, major=1, minor=3), None),
        (Entry("d/pipe", EntryType.FIFO, 0o600, mtime_ns=10**18), None),
        (
            Entry("d/sparse", EntryType.REGULAR, size=10**6, mtime_ns=10**18, sparse=((4096, 512), (8192, 2))),
            b"1" * 512 + b"45",
        ),
    ]
    (tmp_path / "a.tar").write_bytes(write(entries))
    (tmp_path / "out").mkdir()
    subprocess.run(
        ["tar", "-C", tmp_path / "out", "--xattrs", "--numeric-owner", "-xpf", tmp_path / "a.tar"], check=True
    )
    found = facts(tmp_path / "out")
    assert found["d"].mode == 0o1777
    assert found["d"].owner == (5, 6)
    long = found["d/" + "x" * 200]
    assert (long.mode, long.owner, long.mtime_ns, long.xattrs) == (
        0o4711,
        (3000000, 7),
        10**18 + 5,
        (("user.a", b"\0b"),),
    )
    assert found["d/hard"].twin == "d/hard" == long.twin
    assert found["d/soft"].content == "../" * 60
    assert found["d/null"].device == os.makedev(1, 3)
    whole = (tmp_path / "out/d/sparse").read_bytes()
    assert whole == bytes(4096) + b"1" * 512 + bytes(8192 - 4608) + b"45" + bytes(10**6 - 8194)


def test_data_must_be_there_and_only_its_size_is_taken() -> None:
    entry = Entry("f", EntryType.REGULAR, size=5)
    out = io.BytesIO()
    assert TarWriter(out).add(entry, io.BytesIO(b"hello and more")) == 512
    assert out.getvalue()[512:] == b"hello".ljust(512, b"\0")
    for short in (b"hell", io.BytesIO(b"hell"), None):
        with pytest.raises(InvalidInput):
            TarWriter(io.BytesIO()).add(entry, short)


@pytest.mark.parametrize("entry", [Entry("x", EntryType.CHAR, major=1 << 22), Entry("x", EntryType.FIFO, mode=0o10000)])
def test_numbers_no_tar_holds_are_refused(entry: Entry) -> None:
    with pytest.raises(InvalidInput):
        write([(entry, None)])


def test_closing_twice_ends_the_archive_once() -> None:
    out = io.BytesIO()
    writer = TarWriter(out)
    writer.close()
    writer.close()
    assert out.getvalue() == bytes(1024)
