"""What the reader makes of archives from GNU tar, from Python's tarfile, and of blocks put together by hand."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import InvalidInput, TooLarge
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tar.header import checksum_of
from lamina.layers.tar.reader import read_tar
from layers.tar.blocks import END, extended, header, only, padded, read, record


def test_a_file_is_read_with_all_that_its_header_says() -> None:
    block = header(
        b"a/b", size=5, mode=b"0104755\0", uid=b"0001750\0", mtime=b"14524770125\0", uname=b"me", gname=b"us"
    )
    [(entry, data)] = read(block + padded(b"hello") + END)
    assert entry == Entry(
        "a/b", EntryType.REGULAR, 0o4755, 1000, 0, 5, 0o14524770125 * 10**9, uname="me", gname="us", data_offset=512
    )
    assert data == b"hello"


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (b"\0", {}, EntryType.REGULAR),
        (b"7", {}, EntryType.REGULAR),
        (b"1", {"link": b"./t"}, EntryType.HARDLINK),
        (b"2", {"link": b"../t"}, EntryType.SYMLINK),
        (b"3", {"major": b"0000001\0", "minor": b"0000003\0"}, EntryType.CHAR),
        (b"4", {"major": b"0000007\0"}, EntryType.BLOCK),
        (b"5", {}, EntryType.DIRECTORY),
        (b"6", {}, EntryType.FIFO),
    ],
)
def test_every_type_is_known(kind: bytes, fields: dict[str, Any], expected: EntryType) -> None:
    entry = only(header(b"x", kind, **fields) + END)
    assert entry.type is expected
    assert entry.target == {EntryType.HARDLINK: "t", EntryType.SYMLINK: "../t"}.get(expected, "")
    assert (entry.major, entry.minor) == {EntryType.CHAR: (1, 3), EntryType.BLOCK: (7, 0)}.get(expected, (0, 0))


@pytest.mark.parametrize("numbers", [(b"0010000\0", b"0000000\0"), (b"0000001\0", b"4000000\0"), (b"\xff" * 8, b"0\0")])
def test_device_numbers_that_linux_does_not_have_are_refused(numbers: tuple[bytes, bytes]) -> None:
    major, minor = numbers
    with pytest.raises(InvalidInput, match="the device number"):
        read(header(b"x", b"3", major=major, minor=minor) + END)
    assert only(header(b"f", major=major, minor=minor) + END).major == 0


def test_links_and_directories_have_no_data_whatever_their_size_field_says() -> None:
    members = read(header(b"d/", b"5", 99) + header(b"l", b"1", 99, link=b"f") + header(b"f") + END)
    assert [(entry.path, entry.size) for entry, _ in members] == [("d", 0), ("l", 0), ("f", 0)]


def test_an_old_archive_marks_directories_by_a_slash_only() -> None:
    assert only(header(b"d/", b"\0", magic=bytes(8)) + END).type is EntryType.DIRECTORY


def test_user_names_and_devices_do_not_exist_in_old_archives() -> None:
    entry = only(header(b"f", magic=bytes(8), uname=b"junk", major=b"junkjunk") + END)
    assert (entry.uname, entry.major) == ("", 0)


def test_a_long_name_is_split_between_prefix_and_name() -> None:
    assert only(header(b"n" * 100, prefix=b"p" * 155) + END).path == "p" * 155 + "/" + "n" * 100


def test_a_star_archive_keeps_times_behind_its_prefix() -> None:
    block = header(b"n", prefix=b"p" * 131 + b"12345678901\0" * 2, trailer=b"tar\0")
    assert only(block + END).path == "p" * 131 + "/n"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000017\0", 15),
        (b"    17 \0", 15),
        (b"17\0junk\0", 15),
        (bytes(8), 0),
        (b"\x80" + bytes(5) + b"\x01\x02", 258),
    ],
)
def test_numbers_are_octal_or_base_256(field: bytes, value: int) -> None:
    assert only(header(b"f", uid=field) + END).uid == value


def test_a_size_of_many_gigabytes_and_a_time_before_1970_fit_in_base_256() -> None:
    block = header(b"f", size=0, mtime=b"\xff" * 11 + b"\xfe")
    assert only(block + END).mtime_ns == -2 * 10**9
    big = header(b"f").replace(b"%011o\0" % 0, b"\x80" + (2**40).to_bytes(11, "big"), 1)
    big = big[:148] + b"%06o\0 " % checksum_of(big) + big[156:]
    with pytest.raises(InvalidInput, match="ends at byte"):
        read(big + END)


def test_a_time_that_no_clock_reaches_counts_as_1970() -> None:
    assert only(header(b"f", mtime=b"\x80" + bytes(2) + b"\xff" * 9) + END).mtime_ns == 0


def test_a_signed_checksum_is_accepted() -> None:
    block = header("é".encode() * 20)
    signed = sum(b - 256 if b > 127 else b for b in block) - sum(block[148:156]) + 8 * 32
    assert only(block[:148] + b"%06o\0 " % signed + block[156:] + END).path == "é" * 20


def test_names_that_are_no_utf8_survive() -> None:
    assert os.fsencode(only(header(b"\xff\xfe") + END).path) == b"\xff\xfe"


PAX = [
    (record(b"path", b"p" * 300 + b"/f"), None),
    (record(b"path", b"long/" * 100 + b"f"), ("path", "long/" * 100 + "f")),
    (record(b"uid", b"4000000000"), ("uid", 4000000000)),
    (record(b"mtime", b"1.5"), ("mtime_ns", 1_500_000_000)),
    (record(b"mtime", b"-1.25"), ("mtime_ns", -1_250_000_000)),
    (record(b"mtime", b"1.1234567899"), ("mtime_ns", 1_123_456_789)),
    (record(b"mtime", b""), ("mtime_ns", 0)),
    (record(b"uname", b"somebody"), ("uname", "somebody")),
    (record(b"SCHILY.xattr.user.a", b"\0=\n"), ("xattrs", {"user.a": b"\0=\n"})),
    (record(b"SCHILY.xattr.user.a%3Db", b"v"), ("xattrs", {"user.a=b": b"v"})),
    (record(b"LIBARCHIVE.xattr.user.a%20b", base64.b64encode(b"v").rstrip(b"=")), ("xattrs", {"user.a b": b"v"})),
    (
        record(b"LIBARCHIVE.xattr.user.a", b"AAAA") + record(b"SCHILY.xattr.user.a", b"wins"),
        ("xattrs", {"user.a": b"wins"}),
    ),
    (record(b"comment", b"x") + record(b"VENDOR.thing", b"y"), ("path", "f")),
    (record(b"uid", b"1") + record(b"uid", b"2"), ("uid", 2)),
]


@pytest.mark.parametrize(("records", "expected"), PAX)
def test_pax_records_override_the_header(records: bytes, expected: tuple[str, object] | None) -> None:
    archive = extended(records) + header(b"f") + END
    if expected is None:
        with pytest.raises(TooLarge):
            read(archive)
    else:
        assert getattr(only(archive), expected[0]) == expected[1]


def test_a_pax_size_is_the_one_that_counts() -> None:
    archive = extended(record(b"size", b"5")) + header(b"f") + padded(b"hello") + header(b"g") + END
    assert [(entry.path, data) for entry, data in read(archive)] == [("f", b"hello"), ("g", b"")]


def test_extended_headers_hold_for_one_member_and_global_ones_for_none() -> None:
    globally = extended(record(b"uid", b"7") + record(b"path", b"evil"), b"g")
    archive = globally + extended(record(b"uid", b"5")) + header(b"f") + header(b"g") + END
    assert [(entry.path, entry.uid) for entry, _ in read(archive)] == [("f", 5), ("g", 0)]


def test_gnu_long_names_win_over_pax() -> None:
    long = header(b"././@LongLink", b"L", 201) + padded(b"n" * 100 + b"/" + b"m" * 99 + b"\0")
    link = header(b"././@LongLink", b"K", 121) + padded(b"l" * 120 + b"\0")
    entry = only(extended(record(b"path", b"other")) + long + link + header(b"n" * 100, b"2") + END)
    assert (entry.path, entry.target) == ("n" * 100 + "/" + "m" * 99, "l" * 120)


GOOD_ENDS = {
    "two blocks of zeros": END,
    "nothing": b"",
    "one block of zeros": bytes(512),
    "a whole record": bytes(10240),
    "anything behind the end": END + b"garbage" * 999,
    "a dangling extended header": extended(record(b"uid", b"1")),
}


@pytest.mark.parametrize("end", GOOD_ENDS.values(), ids=GOOD_ENDS.keys())
def test_archives_may_end_in_many_ways(end: bytes) -> None:
    assert only(header(b"f") + end).path == "f"


def test_the_padding_of_the_last_file_may_be_missing() -> None:
    [(entry, data)] = read(header(b"f", size=5) + b"hello")
    assert (entry.size, data) == (5, b"hello")


def test_an_empty_stream_is_an_empty_archive() -> None:
    assert read(b"") == []
    assert read(END) == []


def test_a_member_can_be_read_in_pieces_in_part_or_not_at_all() -> None:
    archive = b"".join(header(name, size=3) + padded(name * 3) for name in (b"a", b"b", b"c")) + END
    members = read_tar(io.BytesIO(archive))
    first = next(members)
    data = first.data
    assert (data.read(1), data.read(0), data.read(9), data.read(1)) == (b"a", b"", b"aa", b"")
    assert next(members).entry.path == "b"
    assert data.read() == b""
    into = bytearray(8)
    third = next(members).data
    assert (third.readinto(into), bytes(into), third.readable()) == (3, b"ccc" + bytes(5), True)
    assert next(members, None) is None


def make_tree(root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder" / ("n" * 120)).write_bytes(b"long")
    (root / "folder" / "täxt").write_bytes(b"t" * 1000)
    (root / "folder" / "link").symlink_to("x" * 150)
    os.link(root / "folder" / "täxt", root / "hard")
    os.mkfifo(root / "pipe")
    os.setxattr(root / "hard", "user.note", b"one\0two")
    with (root / "sparse").open("wb") as file:
        for offset in range(0, 40 * 65536, 2 * 65536):
            file.seek(offset)
            file.write(b"%08d" % offset * 512)
        file.truncate(41 * 65536)
    for path in (root, *root.rglob("*")):
        os.utime(path, ns=(10**18, 1_600_000_000_123_456_789), follow_symlinks=False)


GNU_FORMATS = [
    "--format=v7",
    "--format=ustar",
    "--format=oldgnu --sparse",
    "--format=gnu --sparse",
    "--format=posix --xattrs",
    "--format=posix --sparse --sparse-version=0.0",
    "--format=posix --sparse --sparse-version=0.1",
    "--format=posix --sparse --sparse-version=1.0 --xattrs",
]


def contents(entry: Entry, data: bytes) -> bytes:
    """The file as its reader sees it."""
    if entry.sparse is None:
        return data
    whole = bytearray(entry.size)
    for offset, length in entry.sparse:
        whole[offset : offset + length], data = data[:length], data[length:]
    assert not data
    return bytes(whole)


@pytest.mark.parametrize("options", GNU_FORMATS)
def test_what_gnu_tar_writes_is_read_as_it_was(tmp_path: Path, options: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    make_tree(tree)
    archive = subprocess.run(
        ["tar", "-C", tree, "-cf", "-", *options.split(), "."], stdout=subprocess.PIPE, check=False
    )
    members = {entry.path: (entry, contents(entry, data)) for entry, data in read(archive.stdout)}
    for path, (entry, data) in members.items():
        status = (tree / path).lstat()
        assert entry.mode == status.st_mode & 0o7777
        assert (entry.uid, entry.gid) == (status.st_uid, status.st_gid)
        whole_seconds = status.st_mtime_ns // 10**9 * 10**9
        assert entry.mtime_ns == (status.st_mtime_ns if "posix" in options else whole_seconds)
        if entry.type is EntryType.REGULAR:
            assert data == (tree / path).read_bytes()
        if entry.type is EntryType.SYMLINK:
            cut = 100 if options in ("--format=v7", "--format=ustar") else None
            assert entry.target == os.readlink(tree / path)[:cut]
    assert (members["sparse"][0].sparse is not None) == ("--sparse" in options)
    if "--xattrs" in options:
        linked = [members[path][0] for path in ("hard", "folder/täxt") if members[path][0].type is EntryType.REGULAR]
        assert [entry.xattrs for entry in linked] == [{"user.note": b"one\0two"}]
    if "v7" not in options:
        assert {"", "folder", "pipe", "hard", "folder/täxt"} <= members.keys()
    if options not in ("--format=v7", "--format=ustar"):
        assert "folder/" + "n" * 120 in members


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_tarfile_writes_is_read_as_it_was(form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for index in range(50):
            member = tarfile.TarInfo(
                "d/" * index + f"n{index}" * (1 if form == tarfile.USTAR_FORMAT else index % 9 + 1)
            )
            member.size, member.uid, member.mtime = index * 37, index * 1000, 1_000_000_000 + index
            archive.addfile(member, io.BytesIO(bytes([index]) * member.size))
    members = read(out.getvalue())
    assert len(members) == 50
    for index, (entry, data) in enumerate(members):
        assert (entry.size, entry.uid, entry.mtime_ns) == (index * 37, index * 1000, (1_000_000_000 + index) * 10**9)
        assert data == bytes([index]) * entry.size
