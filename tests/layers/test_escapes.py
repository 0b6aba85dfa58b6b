"""Archives that want out of their root: every trick that has worked on some unpacker, each tried in every style.

Beside the root lies what they are after. Whatever an archive is answered with, unpacked or refused, that must be as it
was, and nothing new may lie beside it.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
from pathlib import Path

import pytest

from lamina.errors import LaminaError
from lamina.layers.entry import Entry, EntryType
from lamina.layers.removetree import remove_tree
from lamina.layers.tar.writer import TarWriter
from lamina.layers.unpack import Style, unpack
from lamina.linux.files import RENAME_EXCHANGE, renameat2
from support.trees import facts

UP = "../../../../../../../../../.."


class Raw(TarWriter):
    """Writes names as they are given, however wrong."""


def archive(*members: tuple[Entry, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    writer = Raw(out)
    for entry, data in members:
        writer.add(entry, data)
    writer.close()
    out.seek(0)
    return out


def file(path: str, data: bytes = b"evil", mode: int = 0o777) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.REGULAR, mode, size=len(data)), data


def folder(path: str, mode: int = 0o777) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.DIRECTORY, mode, 12345, 12345), b""


def link(path: str, target: str) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.SYMLINK, 0o777, 12345, 12345, target=target), b""


def hard(path: str, target: str) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.HARDLINK, 0o777, target=target), b""


def attacks(outside: str) -> dict[str, list[tuple[Entry, bytes]]]:
    """`outside` is the absolute path of the directory that holds the root and the victim."""
    victim = f"{outside}/victim"
    inside = outside.lstrip("/")
    return {
        "absolute path": [file(f"{victim}/file")],
        "path upwards": [file("../victim/file")],
        "path upwards from within": [folder("a"), file("a/../../victim/file")],
        "path far upwards": [file(f"{UP}{victim}/file")],
        "absolute path upwards": [file(f"/..{victim}/file")],
        "backslashes": [file("..\\victim\\file")],
        "file through a relative symlink": [link("s", "../victim"), file("s/file")],
        "file through an absolute symlink": [link("s", victim), file("s/file")],
        "file through two symlinks": [link("a", ".."), link("b", "a/victim"), file("b/file")],
        "file through a chain in a folder": [
            folder("d"),
            link("d/a", ".."),
            link("d/a/b", ".."),
            file("d/a/b/victim/file"),
        ],
        "file onto a symlink": [link("s", f"{victim}/file"), file("s")],
        "file onto a dangling symlink": [link("s", f"{victim}/new"), file("s")],
        "folder onto a symlink": [link("s", victim), folder("s", 0o777), file("s/file")],
        "folder attributes through a symlink": [link("s", outside), folder("s/victim", 0o777)],
        "folder whose place a symlink takes": [folder("s", 0o777), link("s", victim)],
        "folder whose parent a symlink takes": [folder("s"), folder("s/victim", 0o777), link("s", "..")],
        "root is a symlink": [link(".", victim), file("file")],
        "root is a symlink by another name": [link("./", victim), file("file")],
        "root is a file": [file("")],
        "hard link upwards": [hard("h", "../victim/file"), file("h")],
        "hard link to an absolute path": [hard("h", f"{victim}/file"), file("h", b"x")],
        "hard link through a symlink": [link("s", victim), hard("h", "s/file")],
        "hard link to a symlink and write": [link("s", f"{victim}/file"), hard("h", "s"), file("h")],
        "hard link onto a symlink": [link("s", f"{victim}/new"), file("f"), hard("s", "f")],
        "hard link from a symlinked place": [link("s", victim), file("f"), hard("s/new", "f")],
        "symlink through a symlink": [link("s", victim), link("s/new", "/etc/passwd")],
        "pipe through a symlink": [link("s", victim), (Entry("s/new", EntryType.FIFO), b"")],
        "device through a symlink": [link("s", victim), (Entry("s/new", EntryType.CHAR, major=1, minor=3), b"")],
        "device and write to it": [(Entry("d", EntryType.CHAR, 0o666, major=1, minor=3), b""), file("d")],
        "pipe and write to it": [(Entry("p", EntryType.FIFO, 0o666), b""), file("p")],
        "magic link to the root": [link("s", "/proc/self/root"), file(f"s{victim}/file")],
        "magic link to a descriptor": [link("s", "/proc/self/fd"), file("s/3/../victim/file")],
        "magic link to the working directory": [link("s", "/proc/self/cwd"), file(f"s/{UP}{victim}/file")],
        "symlink in circles": [link("a", "b"), link("b", "a"), file("a/file")],
        "symlink to itself": [link("a", "a"), file("a/file"), folder("a")],
        "symlink swapped while in use": [
            folder("d"),
            file("d/one"),
            link("d", victim),
            file("d/file"),
            hard("d/h", "d/file"),
        ],
        "parent remembered across a swap": [
            folder("a"),
            folder("a/b"),
            file("a/b/x"),
            link("a", outside),
            file("a/b/victim"),
        ],
        "whiteout of what is outside": [file("../.wh.victim", b"")],
        "whiteout of the folder above": [file(".wh...", b"")],
        "whiteout of the folder itself": [folder("d"), file("d/.wh..", b"")],
        "whiteout of nothing": [file(".wh.", b"")],
        "whiteout through a symlink": [link("s", victim), file("s/.wh.file", b"")],
        "whiteout of a symlink": [link("s", victim), file(".wh.s", b"")],
        "opaque through a symlink": [link("s", victim), file("s/.wh..wh..opq", b"")],
        "opaque above the root": [file("../victim/.wh..wh..opq", b"")],
        "opaque root": [file(".wh..wh..opq", b"")],
        "whiteout under a whiteout": [file(".wh.victim", b""), file(".wh.victim/file")],
        "dangling symlink as parent": [link("s", f"{victim}/deep/er"), file("s/file")],
        "dangling symlink upwards as parent": [link("s", f"{UP}/{inside}/victim/deep"), file("s/file")],
        "file as parent": [file("f"), file("f/g")],
        "pipe as parent": [(Entry("p", EntryType.FIFO), b""), file("p/file")],
        "attributes through a symlink": [
            link("s", victim),
            (Entry("s/file", EntryType.REGULAR, 0o4777, 4, 4, xattrs={"user.x": b"1"}), b""),
        ],
        "attributes of a symlink": [
            (Entry("s", EntryType.SYMLINK, 0o4777, 4, 4, target=f"{victim}/file", xattrs={"trusted.x": b"1"}), b"")
        ],
        "mode of a symlink": [(Entry("s", EntryType.SYMLINK, 0o000, target=f"{victim}/file"), b"")],
        "a name of the kernel's": [link("...", victim), file(".../file")],
        "sparse through a symlink": [
            link("s", f"{victim}/file"),
            (Entry("s", EntryType.REGULAR, size=5000, sparse=((4096, 4),)), b"evil"),
        ],
    }


ATTACKS = sorted(attacks("/x"))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (victim / "file").write_text("precious")
    (victim / "file").chmod(0o600)
    (victim / "sub").mkdir()
    (tmp_path / "root").mkdir()
    for path in (victim / "file", victim / "sub", victim):
        os.utime(path, ns=(10**18, 10**18))
    return tmp_path


def attack(outside: Path, members: list[tuple[Entry, bytes]], style: Style) -> None:
    before = facts(outside / "victim")
    root = os.open(outside / "root", os.O_RDONLY | os.O_DIRECTORY)
    with contextlib.suppress(LaminaError):
        unpack(archive(*members), root, style)
    os.close(root)
    assert facts(outside / "victim") == before
    assert (outside / "victim/file").stat().st_nlink == 1
    assert {path.name for path in outside.iterdir()} == {"victim", "root"}


@pytest.mark.root
@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_gets_out(outside: Path, name: str, style: Style) -> None:
    attack(outside, attacks(str(outside))[name], style)


@pytest.mark.root
@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_gets_out_of_a_tree_that_another_archive_has_prepared(outside: Path, name: str, style: Style) -> None:
    traps = {"s": outside / "victim", "d": outside / "victim", "a": outside, "h": outside / "victim/file", "f": outside}
    for trap, target in traps.items():
        (outside / "root" / trap).symlink_to(target)
    attack(outside, attacks(str(outside))[name], style)


@pytest.mark.root
@pytest.mark.parametrize("style", Style)
def test_absolute_and_symlinked_paths_land_inside(outside: Path, style: Style) -> None:
    attack(
        outside, [file(f"{outside}/victim/file"), link("s", "/deep/er"), file("s/f"), link("u", UP), file("u/g")], style
    )
    root = outside / "root"
    assert (root / str(outside).lstrip("/") / "victim/file").read_text() == "evil"
    assert (root / "deep/er/f").exists()
    assert (root / "g").exists()


@pytest.mark.root
def test_a_process_that_swaps_directories_meanwhile_gains_nothing(outside: Path) -> None:
    """What a container may do while files are copied into it: the unpacker races with it for some hundred files."""
    root = outside / "root"
    (root / "real").mkdir()
    (root / "trap").symlink_to(outside / "victim")
    stop = threading.Event()

    def swap() -> None:
        # An archive that wins takes "real" away for a moment; then there is nothing to exchange.
        while not stop.is_set():
            with contextlib.suppress(FileNotFoundError):
                renameat2(root / "real", root / "trap", RENAME_EXCHANGE)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(60):
            attack(outside, [file("real/file"), file(f"real/new{number}"), folder("real/sub")], Style.PLAIN)
    finally:
        stop.set()
        swapper.join()


def test_a_tree_deeper_than_any_path_is_removed(outside: Path) -> None:
    root = outside / "root"
    here = os.open(root, os.O_RDONLY)
    name = "d" * 200
    for _ in range(300):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.symlink(outside / "victim", "s", dir_fd=here)
    os.close(here)
    parent = os.open(outside, os.O_RDONLY)
    before = facts(outside / "victim")
    remove_tree(parent, "root")
    with pytest.raises(FileNotFoundError):
        remove_tree(parent, "root")
    os.close(parent)
    assert facts(outside / "victim") == before
    assert not root.exists()


@pytest.mark.root
@pytest.mark.parametrize("style", Style)
def test_deep_trees_through_symlinks_are_built_and_replaced(outside: Path, style: Style) -> None:
    long = "/".join("d" * 100 for _ in range(30))
    members = [
        link("s", long),
        file("s/f"),
        link(f"s/{'e' * 100}", long),
        file(f"s/{long}/g"),
        file("d" * 100, b"flat"),
    ]
    attack(outside, members, style)
    assert stat.S_ISREG((outside / "root" / ("d" * 100)).lstat().st_mode)
