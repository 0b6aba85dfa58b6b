"""Archives that want out of their root: every trick that has worked on some unpacker, each tried in every style.

Beside the root lies what they are after. Whatever an archive is answered with, unpacked or refused, that must be as it
was, and nothing new may lie beside it.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from pathlib import Path

import pytest

from lamina.errors import LaminaError
from lamina.layers.entry import Entry
from lamina.layers.removetree import remove_tree
from lamina.layers.tar.writer import TarWriter
from lamina.layers.unpack import Style, unpack
from layers.attacks import UP, attacks, file, folder, link
from support.hostile import swapping
from support.trees import facts


def archive(*members: tuple[Entry, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    writer = TarWriter(out)
    for entry, data in members:
        writer.add(entry, data)
    writer.close()
    out.seek(0)
    return out


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
    with swapping(root / "real", root / "trap"):
        for number in range(60):
            attack(outside, [file("real/file"), file(f"real/new{number}"), folder("real/sub")], Style.PLAIN)


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
