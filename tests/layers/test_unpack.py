"""Unpacking in all styles, against GNU tar where it does the same, and against the index where only that can tell."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.errors import Conflict, InvalidInput, TooLarge
from lamina.layers.entry import Entry, EntryType, opaque_entry, whiteout_entry
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.limits import Limits
from lamina.layers.tar.writer import TarWriter
from lamina.layers.tree import walk
from lamina.layers.unpack import Style, unpack
from support.trees import Facts, facts

TIME = 1_600_000_000 * 10**9
Member = tuple[Entry, bytes | None]


@contextmanager
def opened(path: Path) -> Iterator[int]:
    path.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def tar(*members: Member | Entry) -> io.BytesIO:
    out = io.BytesIO()
    writer = TarWriter(out)
    for member in members:
        entry, data = member if isinstance(member, tuple) else (member, None)
        writer.add(entry, data)
    writer.close()
    out.seek(0)
    return out


def put(root: Path, *members: Member | Entry, style: Style = Style.PLAIN, **options: Any) -> dict[str, Facts]:
    with opened(root) as descriptor:
        unpack(tar(*members), descriptor, style, **options)
    return facts(root)


def file(path: str, data: bytes = b"", **fields: Any) -> Member:
    return replace(Entry(path, EntryType.REGULAR, size=len(data), mtime_ns=TIME), **fields), data


def folder(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, EntryType.DIRECTORY, mode, mtime_ns=TIME)


def link(path: str, target: str) -> Entry:
    return Entry(path, EntryType.SYMLINK, 0o777, target=target, mtime_ns=TIME)


def hard(path: str, target: str) -> Entry:
    return Entry(path, EntryType.HARDLINK, target=target)


ALL: list[tuple[Entry, bytes | None] | Entry] = [
    folder("d", 0o2750),
    replace(folder("d/locked", 0o000), uid=5, gid=6),
    file("d/locked/f", b"inside"),
    file(
        "d/setuid",
        b"x",
        mode=0o6755,
        uid=1000,
        gid=1001,
        xattrs={"security.capability": bytes.fromhex("01000002" + "00" * 16)},
    ),
    file("d/attributes", b"y", xattrs={"user.note": b"a\0b", "trusted.x": b""}, mtime_ns=-1_500_000_000),
    file("sub/second", b"z", mtime_ns=TIME + 123_456_789),
    link("d/soft", "../else/where"),
    replace(link("d/owned", "x"), uid=7, gid=8),
    hard("hard", "d/setuid"),
    Entry("d/char", EntryType.CHAR, 0o620, 0, 5, mtime_ns=TIME, major=5, minor=1),
    Entry("d/block", EntryType.BLOCK, 0o660, mtime_ns=TIME, major=259, minor=70000),
    Entry("d/pipe", EntryType.FIFO, 0o644, mtime_ns=TIME),
    (Entry("holes", EntryType.REGULAR, size=1 << 22, mtime_ns=TIME, sparse=((0, 4096), (1 << 21, 5))), b"q" * 4101),
    file("big", os.urandom(3 << 20)),
    file("d/ümläut\udcff", b"name"),
]


@pytest.mark.root
@pytest.mark.parametrize("style", Style)
def test_everything_an_entry_says_is_restored(tmp_path: Path, style: Style) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar(*ALL).read())
    (tmp_path / "gnu").mkdir()
    options = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--delay-directory-restore", "-xpf"]
    subprocess.run(["tar", "-C", tmp_path / "gnu", *options, archive], check=True)
    with opened(tmp_path / "ours") as root:
        unpacked = unpack(archive, root, style)
    assert (unpacked.entries, unpacked.size) == (
        len(ALL),
        sum(e.size for e in (m[0] if isinstance(m, tuple) else m for m in ALL)),
    )
    ours, gnu = facts(tmp_path / "ours"), facts(tmp_path / "gnu")
    for implied in ("", "sub"):
        del ours[implied], gnu[implied]
    assert ours == gnu
    assert (tmp_path / "ours/holes").stat().st_blocks < 100


@pytest.mark.root
def test_a_real_tree_unpacks_as_gnu_tar_does(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    subprocess.run(["tar", "-C", "/", "--xattrs", "-cf", archive, "etc", "usr/share/perl5"], check=True)
    (tmp_path / "gnu").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "gnu", "--xattrs", "--numeric-owner", "-xpf", archive], check=True)
    with opened(tmp_path / "ours") as root:
        unpack(archive, root)
    ours, gnu = facts(tmp_path / "ours"), facts(tmp_path / "gnu")
    for implied in ("", "usr", "usr/share"):
        del ours[implied], gnu[implied]
    assert ours == gnu


names = st.sampled_from(["a", "b", "c", "d"])
some_paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@st.composite
def any_member(draw: st.DrawFn, *, whiteouts: bool = False) -> Member:
    path = draw(some_paths)
    kinds = ["file", "folder", "link", "hard", "pipe"] + ["whiteout", "opaque"] * whiteouts
    kind = draw(st.sampled_from(kinds))
    if kind == "file":
        return file(path, draw(st.binary(max_size=5)), mode=draw(st.sampled_from([0o600, 0o755])))
    if kind == "folder":
        return folder(path, draw(st.sampled_from([0o700, 0o555]))), None
    if kind == "link":
        prefix = draw(st.sampled_from(["", "/", "../", "../../"]))
        return link(path, prefix + draw(some_paths)), None
    if kind == "hard":
        return hard(path, draw(some_paths)), None
    if kind == "pipe":
        return Entry(path, EntryType.FIFO, mtime_ns=TIME), None
    return (whiteout_entry(path) if kind == "whiteout" else opaque_entry(path)), None


def by_index(members: list[Member], folder: Path) -> dict[str, tuple[object, ...]] | str:
    """What the layer's index shows, or the word for a refusal."""
    try:
        with LayerBuilder(folder / "l.tar", folder / "l.index") as builder:
            for entry, data in members:
                builder.add(entry, data)
            builder.finish()
    except (InvalidInput, TooLarge):
        return "refused"
    tree = LayerTree.open(folder / "l.index", folder / "l.tar")
    twins: dict[int, str] = {}
    shown: dict[str, tuple[object, ...]] = {}
    for node in sorted(walk(tree), key=lambda node: os.fsencode(node.entry.path)):
        entry = node.entry
        data = b""
        if entry.type is EntryType.REGULAR:
            with tree.read(node) as content:
                data = content.read()
        known = () if node.implied or node.is_whiteout else (entry.mode, entry.mtime_ns)
        twin = entry.path if node.is_directory or node.is_whiteout else twins.setdefault(node.ino, entry.path)
        shown[entry.path] = (entry.type, known, entry.target, data, node.opaque, twin)
    return shown


KINDS = {
    stat.S_IFREG: EntryType.REGULAR,
    stat.S_IFDIR: EntryType.DIRECTORY,
    stat.S_IFLNK: EntryType.SYMLINK,
    stat.S_IFCHR: EntryType.CHAR,
    stat.S_IFIFO: EntryType.FIFO,
}


def by_unpacking(members: list[Member], root: Path) -> dict[str, tuple[object, ...]] | str:
    """The same of what unpacking in the style "overlay" leaves."""
    try:
        with opened(root) as descriptor:
            unpack(tar(*members), descriptor, Style.OVERLAY)
    except InvalidInput:
        return "refused"
    shown: dict[str, tuple[object, ...]] = {}
    for path, fact in facts(root).items():
        data = (root / path).read_bytes() if fact.kind == stat.S_IFREG else b""
        opaque = ("trusted.overlay.opaque", b"y") in fact.xattrs
        target = fact.content if fact.kind == stat.S_IFLNK else ""
        shown[path] = (KINDS[fact.kind], (fact.mode, fact.mtime_ns), target, data, opaque, fact.twin)
    return shown


@pytest.mark.root
@settings(deadline=None, max_examples=300)
@given(st.lists(any_member(whiteouts=True), max_size=9))
def test_the_overlay_style_and_the_index_show_the_same_layer(
    tmp_path_factory: pytest.TempPathFactory, members: list[Member]
) -> None:
    work = tmp_path_factory.mktemp("both")
    indexed, unpacked = by_index(members, work), by_unpacking(members, work / "root")
    if isinstance(indexed, str) or isinstance(unpacked, str):
        assert indexed == unpacked
        return
    assert indexed.keys() == unpacked.keys()
    for path, (kind, known, *rest) in indexed.items():
        assert (kind, *rest) == (unpacked[path][0], *unpacked[path][2:]), path
        assert known in ((), unpacked[path][1]), path


@pytest.mark.root
def test_a_directory_gets_its_mode_and_time_though_the_symlink_to_it_is_replaced(tmp_path: Path) -> None:
    found = put(tmp_path / "r", folder("a"), link("b", "a"), folder("b/sub", 0o555), file("b"))
    assert (found["a/sub"].mode, found["a/sub"].mtime_ns) == (0o555, TIME)


@pytest.mark.root
def test_the_last_member_describes_a_directory_whatever_path_leads_to_it(tmp_path: Path) -> None:
    members = [folder("one"), link("one/up", ".."), folder("one/sub", 0o500), folder("one/up/one/sub", 0o511)]
    assert put(tmp_path / "r", *members)["one/sub"].mode == 0o511


@pytest.mark.root
def test_later_members_replace_earlier_ones(tmp_path: Path) -> None:
    found = put(
        tmp_path / "r",
        *(file("f", b"old"), file("f", b"new")),
        *(folder("d"), file("d/kept", b""), folder("d", 0o700)),
        *(folder("dir"), file("dir/lost"), file("dir", b"now a file")),
        *(file("was", b"a file"), folder("was"), file("was/f", b"")),
        *(link("s", "/nowhere"), file("s", b"no link")),
        *(file("x", b"x"), hard("y", "x"), hard("y", "x")),
    )
    assert (tmp_path / "r/f").read_bytes() == b"new"
    assert {"d/kept", "was/f"} <= found.keys()
    assert "dir/lost" not in found
    assert found["d"].mode == 0o700
    assert (tmp_path / "r/s").read_bytes() == b"no link"
    assert found["y"].twin == "x"


@pytest.mark.root
def test_an_old_file_is_replaced_not_written_to(tmp_path: Path) -> None:
    root = tmp_path / "r"
    root.mkdir()
    (tmp_path / "other").write_text("untouched")
    os.link(tmp_path / "other", root / "f")
    put(root, file("f", b"new"))
    assert (tmp_path / "other").read_text() == "untouched"


@pytest.mark.root
def test_whiteouts_are_files_in_the_plain_style(tmp_path: Path) -> None:
    found = put(tmp_path / "r", whiteout_entry("a"), opaque_entry("d"))
    assert {".wh.a", "d/.wh..wh..opq"} <= found.keys()


def lower(root: Path) -> None:
    put(root, folder("d"), file("d/one", b"1"), file("d/two", b"2"), folder("d/sub"), file("d/sub/x"), file("f", b"f"))


APPLIED: dict[str, tuple[list[Member | Entry], set[str]]] = {
    "a file": ([whiteout_entry("f")], {"d", "d/one", "d/two", "d/sub", "d/sub/x"}),
    "a directory": ([whiteout_entry("d")], {"f"}),
    "nothing": ([whiteout_entry("missing")], {"d", "d/one", "d/two", "d/sub", "d/sub/x", "f"}),
    "before its successor": ([whiteout_entry("d"), folder("d"), file("d/new")], {"d", "d/new", "f"}),
    "behind its successor": ([folder("d"), file("d/new"), whiteout_entry("d")], {"d", "d/new", "f"}),
    "a file made anew": ([file("f", b"new"), whiteout_entry("f")], {"d", "d/one", "d/two", "d/sub", "d/sub/x", "f"}),
    "opaque before": ([opaque_entry("d"), file("d/new")], {"d", "d/new", "f"}),
    "opaque behind": ([file("d/sub/new"), opaque_entry("d")], {"d", "d/sub", "d/sub/new", "f"}),
    "the root": ([file("new"), opaque_entry("")], {"new"}),
}


@pytest.mark.root
@pytest.mark.parametrize(("members", "left"), APPLIED.values(), ids=APPLIED.keys())
def test_applied_whiteouts_delete_what_is_below_and_nothing_of_their_own(
    tmp_path: Path, members: list[Member | Entry], left: set[str]
) -> None:
    lower(tmp_path / "r")
    assert put(tmp_path / "r", *members, style=Style.APPLY).keys() - {""} == left


@pytest.mark.root
def test_attributes_of_overlayfs_in_an_image_mean_nothing_to_overlayfs(tmp_path: Path) -> None:
    attributes = {"trusted.overlay.opaque": b"y", "user.fine": b"1"}
    entry = replace(folder("d"), xattrs=attributes)
    assert put(tmp_path / "o", entry, style=Style.OVERLAY)["d"].xattrs == (
        ("trusted.overlay.overlay.opaque", b"y"),
        ("user.fine", b"1"),
    )


@pytest.mark.root
def test_owners_can_be_replaced(tmp_path: Path) -> None:
    found = put(tmp_path / "r", folder("d"), file("d/f", uid=5, gid=6), link("l", "x"), owner=(1000, 1001))
    assert {found[path].owner for path in ("d", "d/f", "l")} == {(1000, 1001)}


@pytest.mark.parametrize("members", [[folder("d"), file("d")], [file("f"), folder("f")], [link("l", "d"), folder("l")]])
def test_kinds_can_be_kept(tmp_path: Path, members: list[Member | Entry]) -> None:
    with pytest.raises(Conflict):
        put(tmp_path / "r", *members, keep_kinds=True)
    put(tmp_path / "s", *members)


def test_limits_and_broken_archives_stop_it(tmp_path: Path) -> None:
    with opened(tmp_path / "r") as root:
        with pytest.raises(TooLarge):
            unpack(tar(file("a"), file("b")), root, limits=Limits(entries=1))
        with pytest.raises(InvalidInput):
            unpack(io.BytesIO(b"no tar" * 100), root)


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    put(tmp_path / "r", *(file(f"d{number}/sub/f") for number in range(100)))
    with pytest.raises(InvalidInput):
        put(tmp_path / "r", file("f"), file("f/x"))
    assert set(os.listdir("/proc/self/fd")) == before


def test_an_archive_of_tarfile_unpacks_without_root_rights_too(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("d/f"))
    (tmp_path / "a.tar").write_bytes(out.getvalue())
    with opened(tmp_path / "r") as root:
        unpack(tmp_path / "a.tar", root, "plain")
    assert (tmp_path / "r/d/f").exists()
