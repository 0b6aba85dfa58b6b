"""From changes made through a real overlay mount, or in a copied tree, to a layer, and from it to the tree again."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from lamina.errors import Unsupported
from lamina.layers.diff import Change, tree_changes, upper_changes, write_tree_diff, write_upper_diff
from lamina.layers.index.tree import LayerTree
from lamina.layers.layer import Ingested
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.removetree import remove_tree
from lamina.layers.tar.reader import read_tar
from lamina.layers.tree import Tree
from lamina.layers.union import UnionTree
from lamina.layers.unpack import Style, unpack
from support.trees import Facts, facts

pytestmark = pytest.mark.root


class Bench:
    """A lower layer, a real overlay on it, and what has been made of the changes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lower, self.upper, self.merged = (root / name for name in ("lower", "upper", "merged"))
        for folder in (self.lower, self.upper, self.merged, root / "work"):
            folder.mkdir()

    def fill(self) -> None:
        for folder in ("etc", "gone", "anew", "far/away", "still"):
            (self.lower / folder).mkdir(parents=True)
        for name in ("etc/a", "etc/b", "gone/x", "anew/x", "anew/same", "far/away/f", "still/f", "linked"):
            (self.lower / name).write_text(f"lower {name}")
        os.link(self.lower / "linked", self.lower / "twin")
        (self.lower / "soft").symlink_to("etc")
        self.settle(self.lower)

    def settle(self, root: Path) -> None:
        """Whole seconds, as a layer keeps them, and long ago."""
        for path in sorted([root, *root.rglob("*")], reverse=True):
            os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)

    def change(self, change: Callable[[Path], None]) -> None:
        options = f"lowerdir={self.lower},upperdir={self.upper},workdir={self.root}/work,redirect_dir=off,metacopy=off"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.merged], check=True)
        try:
            change(self.merged)
            self.wanted = facts(self.merged)
        finally:
            subprocess.run(["umount", self.merged], check=True)

    def layer(self, name: str, write: Callable[[LayerBuilder], None]) -> Ingested:
        with LayerBuilder(self.root / f"{name}.tar", self.root / f"{name}.index") as builder:
            write(builder)
            return builder.finish()

    def tree(self, name: str) -> LayerTree:
        return LayerTree.open(self.root / f"{name}.index", self.root / f"{name}.tar")

    def lower_tree(self) -> LayerTree:
        with opened(self.lower) as root:
            self.layer("lower", lambda builder: write_upper_diff(root, builder))
        return self.tree("lower")

    def names(self, name: str) -> list[str]:
        with (self.root / f"{name}.tar").open("rb") as file:
            return [member.entry.path for member in read_tar(file)]

    def applied(self, *layers: str) -> dict[str, Facts]:
        """The tree that the layers make when they are applied one after the other."""
        target = self.root / f"applied-{'-'.join(layers)}"
        target.mkdir()
        with opened(target) as root:
            for layer in layers:
                unpack(self.root / f"{layer}.tar", root, Style.APPLY)
        return facts(target)


class opened:
    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *details: object) -> None:
        os.close(self._fd)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.fill()
    yield made
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def everything(root: Path) -> None:
    (root / "etc/a").write_text("changed")
    (root / "etc/b").unlink()
    shutil.rmtree(root / "gone")
    shutil.rmtree(root / "anew")
    (root / "anew").mkdir(mode=0o700)
    (root / "anew/same").write_text("lower anew/same")
    (root / "fresh/deep").mkdir(parents=True)
    (root / "fresh/f").write_text("f")
    os.link(root / "fresh/f", root / "fresh/deep/g")
    os.setxattr(root / "fresh/f", "user.note", b"n")
    os.setxattr(root / "fresh/f", "security.capability", bytes.fromhex("01000002" + "00" * 16))
    os.chown(root / "fresh/f", 1000, 1001)
    os.chmod(root / "fresh", 0o1770)
    (root / "new link").symlink_to("/anywhere")
    os.mkfifo(root / "pipe")
    os.mknod(root / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.chmod(root / "far/away/f", 0o640)
    (root / "soft").unlink()
    (root / "soft").mkdir()
    (root / "soft/inside").write_text("i")
    with (root / "holes").open("wb") as file:
        file.write(b"x" * 70_000)
        file.seek(10_000_000)
        file.write(b"y")


def without_times(found: dict[str, Facts]) -> dict[str, object]:
    return {path: (f.kind, f.mode, f.owner, f.size, f.content, f.device, f.xattrs) for path, f in found.items() if path}


def test_a_layer_of_the_changes_makes_the_same_tree_again(bench: Bench) -> None:
    lower = bench.lower_tree()
    bench.change(everything)
    with opened(bench.upper) as upper:
        bench.layer("upper", lambda builder: write_upper_diff(upper, builder, lower))
    applied = bench.applied("lower", "upper")
    assert without_times(applied) == without_times(bench.wanted)
    for path, fact in applied.items():
        assert not path or fact.mtime_ns == bench.wanted[path].mtime_ns // 10**9 * 10**9
    assert applied["fresh/f"].twin == "fresh/deep/g"
    assert (bench.root / "applied-lower-upper/holes").stat().st_blocks < 1000


def test_a_layer_of_the_changes_is_sorted_and_says_each_thing_once(bench: Bench) -> None:
    lower = bench.lower_tree()
    bench.change(everything)
    with opened(bench.upper) as upper:
        bench.layer("upper", lambda builder: write_upper_diff(upper, builder, lower))
    assert bench.names("upper") == [
        *("anew", "anew/.wh..wh..opq", "anew/same", "device", "etc", "etc/a", "etc/.wh.b"),
        *("far", "far/away", "far/away/f", "fresh", "fresh/deep", "fresh/deep/g", "fresh/f"),
        *(".wh.gone", "holes", "new link", "pipe", "soft", "soft/inside"),
    ]
    with opened(bench.upper) as upper:
        bench.layer("blind", lambda builder: write_upper_diff(upper, builder))
    assert set(bench.names("blind")) >= set(bench.names("upper"))
    assert without_times(bench.applied("lower", "blind")) == without_times(bench.wanted)


def test_the_same_upper_gives_the_same_bytes(bench: Bench) -> None:
    bench.change(everything)
    with opened(bench.upper) as upper:
        one = bench.layer("one", lambda builder: write_upper_diff(upper, builder))
    moved = bench.root / "moved"
    subprocess.run(["cp", "-a", "--sparse=always", bench.upper, moved], check=True)
    with opened(moved) as upper:
        assert bench.layer("two", lambda builder: write_upper_diff(upper, builder)) == one


def test_late_times_can_be_cut(bench: Bench) -> None:
    bench.change(everything)
    with opened(bench.upper) as upper:
        bench.layer("upper", lambda builder: write_upper_diff(upper, builder, latest_ns=10**18))
    with (bench.root / "upper.tar").open("rb") as file:
        assert {member.entry.mtime_ns for member in read_tar(file)} == {0, 10**18}


TOLD = [
    *("C anew", "C anew/same", "D anew/x", "A device", "C etc", "C etc/a", "D etc/b", "C far", "C far/away"),
    *("C far/away/f", "A fresh", "A fresh/deep", "A fresh/deep/g", "A fresh/f", "D gone", "A holes", "A new link"),
    *("A pipe", "C soft", "A soft/inside"),
]


def told(changes: Iterable[Change]) -> list[str]:
    return [f"{change.kind} {change.path}" for change in changes]


def test_changes_are_told_as_docker_tells_them(bench: Bench) -> None:
    lower = bench.lower_tree()
    bench.change(everything)
    with opened(bench.upper) as upper:
        assert told(upper_changes(upper, lower)) == TOLD


def there_and_back(root: Path) -> None:
    (root / "far/away/f").chmod(0o600)
    (root / "far/away/f").chmod(0o644)
    (root / "etc/made").mkdir()
    (root / "etc/made").rmdir()
    (root / "gone").touch()


def test_what_was_only_copied_up_has_not_changed(bench: Bench) -> None:
    lower = bench.lower_tree()
    bench.change(there_and_back)
    with opened(bench.upper) as upper:
        assert told(upper_changes(upper, lower)) == []


def nothing(root: Path) -> None:
    pass


def a_socket(root: Path) -> None:
    (root / "linked").unlink()
    for name in ("socket", "linked"):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(root / name))


def test_no_change_is_an_empty_layer(bench: Bench) -> None:
    lower = bench.lower_tree()
    bench.change(nothing)
    with opened(bench.upper) as upper:
        assert list(upper_changes(upper, lower)) == []
        assert bench.layer("upper", lambda builder: write_upper_diff(upper, builder)).size == 1024


def test_sockets_are_told_and_not_kept(bench: Bench) -> None:
    lower = bench.lower_tree()
    bench.change(a_socket)
    with opened(bench.upper) as upper:
        assert told(upper_changes(upper, lower)) == ["C linked", "A socket"]
        bench.layer("upper", lambda builder: write_upper_diff(upper, builder, lower))
    assert bench.names("upper") == [".wh.linked"]
    target = copied(bench, lower, "copy")
    a_socket(target)
    with opened(target) as root:
        assert told(tree_changes(root, lower)) == ["C linked", "A socket"]
        bench.layer("copied", lambda builder: write_tree_diff(root, lower, builder))
    assert bench.names("copied") == [".wh.linked"]


def test_what_overlayfs_notes_for_itself_stays_out_and_what_a_container_nests_stays_in(bench: Bench) -> None:
    (bench.upper / "d").mkdir()
    for name in ("overlay.origin", "overlay.impure", "overlay.overlay.opaque"):
        os.setxattr(bench.upper / "d", f"trusted.{name}", b"y")
    os.setxattr(bench.upper / "d", "user.overlay.x", b"y")
    with opened(bench.upper) as upper:
        bench.layer("upper", lambda builder: write_upper_diff(upper, builder))
    with (bench.root / "upper.tar").open("rb") as file:
        [member] = read_tar(file)
    assert member.entry.xattrs == {"trusted.overlay.opaque": b"y"}


@pytest.mark.parametrize("mark", ["trusted.overlay.redirect", "trusted.overlay.metacopy"])
def test_an_upper_that_only_refers_to_its_lower_is_refused(bench: Bench, mark: str) -> None:
    (bench.upper / "f").write_text("")
    os.setxattr(bench.upper / "f", mark, b"")
    with opened(bench.upper) as upper, pytest.raises(Unsupported):
        bench.layer("upper", lambda builder: write_upper_diff(upper, builder))


def copied(bench: Bench, lower: Tree, name: str) -> Path:
    target = bench.root / name
    target.mkdir()
    with opened(target) as root:
        unpack(bench.root / "lower.tar", root, Style.APPLY)
        assert list(tree_changes(root, lower)) == []
    return target


def test_a_copied_tree_tells_and_writes_its_changes(bench: Bench) -> None:
    lower = bench.lower_tree()
    target = copied(bench, lower, "copy")
    everything(target)
    with opened(target) as root:
        assert told(tree_changes(root, lower)) == TOLD
        bench.layer("changes", lambda builder: write_tree_diff(root, lower, builder))
        union = UnionTree([lower, bench.tree("changes")])
        left = [change for change in tree_changes(root, union) if change.kind != "C"]
    assert left == []
    assert without_times(bench.applied("lower", "changes")) == without_times(facts(target))


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lambda root: (root / "etc/a").write_text("other etc/a"), ["C etc", "C etc/a"]),
        (lambda root: os.chmod(root / "etc", 0o700), ["C etc"]),
        (lambda root: os.utime(root / "etc"), []),
        (lambda root: os.setxattr(root / "etc/b", "user.x", b""), ["C etc", "C etc/b"]),
        (lambda root: os.chown(root / "soft", 5, 5, follow_symlinks=False), ["C soft"]),
        (lambda root: (root / "linked").unlink(), ["D linked"]),
        (lambda root: os.link(root / "etc/a", root / "more"), ["A more"]),
    ],
)
def test_each_kind_of_change_in_a_copied_tree_is_seen(
    bench: Bench, change: Callable[[Path], object], lines: list[str]
) -> None:
    lower = bench.lower_tree()
    target = copied(bench, lower, "copy")
    change(target)
    with opened(target) as root:
        assert told(tree_changes(root, lower)) == lines


def test_a_deep_tree_is_walked_with_few_descriptors(bench: Bench) -> None:
    subprocess.run(["mkdir", "-p", "/".join(["d"] * 1500)], cwd=bench.upper, check=True)
    with opened(bench.upper) as upper:
        assert bench.layer("upper", lambda builder: write_upper_diff(upper, builder)).entries == 1500
        remove_tree(upper, "d")
