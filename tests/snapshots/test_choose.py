"""Which driver is taken, and what it says about it; and the old ways that some kernels need."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.errors import InvalidInput, TooLarge, Unsupported
from lamina.snapshots.choose import open_driver
from lamina.snapshots.mounts import Overlay, temporary_mount
from snapshots.bench import Bench

pytestmark = pytest.mark.root


def test_the_best_that_works_is_taken_and_nothing_is_left_behind(data_root: Path) -> None:
    driver = open_driver(data_root / "snapshots")
    assert driver.name in ("erofs", "overlay", "copy")
    assert driver.reason
    assert sorted(path.name for path in (data_root / "snapshots").iterdir()) == [driver.name]
    driver.close()


def test_an_unknown_name_is_refused(data_root: Path) -> None:
    with pytest.raises(InvalidInput):
        open_driver(data_root, "aufs")


@contextlib.contextmanager
def overlay_on(directory: Path) -> Iterator[Path]:
    for part in ("lower", "upper", "work", "merged"):
        (directory / part).mkdir()
    stack = Overlay((directory / "lower",), directory / "upper", directory / "work", volatile=True)
    with temporary_mount(stack, directory / "merged") as merged:
        yield merged


def test_where_nothing_can_be_stacked_trees_are_copied(data_root: Path) -> None:
    """An upper directory cannot be on an overlay."""
    with overlay_on(data_root) as merged:
        driver = open_driver(merged / "snapshots")
        assert driver.name == "copy"
        assert "erofs does not work here" in driver.reason
        with pytest.raises(Unsupported):
            open_driver(merged / "snapshots", "overlay")


@pytest.mark.parametrize("depth", [1, 3, 400])
def test_the_option_string_stacks_the_same(data_root: Path, depth: int) -> None:
    layers = [data_root / f"layer-{number}" for number in range(depth)]
    for number, layer in enumerate(layers):
        layer.mkdir()
        (layer / f"{number}").touch()
    for part in ("upper", "work", "merged"):
        (data_root / part).mkdir()
    stack = Overlay(tuple(layers), data_root / "upper", data_root / "work")
    with temporary_mount(stack, data_root / "merged", option_string=True) as merged:
        assert len(os.listdir(merged)) == depth
        (merged / "new").touch()
    assert (data_root / "upper" / "new").exists()


def test_too_many_for_an_option_string_is_told(data_root: Path) -> None:
    (data_root / "merged").mkdir()
    with (
        pytest.raises(TooLarge),
        temporary_mount(Overlay((data_root,) * 2000), data_root / "merged", option_string=True),
    ):
        pass


@pytest.mark.parametrize("name", ["erofs", "overlay"])
def test_long_and_odd_paths(data_root: Path, name: str) -> None:
    bench = Bench(data_root / ("long-" * 45) / "odd,na:me\\here", name)
    snapshot = bench.driver.prepare("one", [bench.files(a=b"a"), bench.files(b=b"b")])
    root = snapshot.mount()
    (root / "c").write_bytes(b"c")
    assert sorted(os.listdir(root)) == ["a", "b", "c"]
    snapshot.unmount()
    assert [change.path for change in snapshot.changes()] == ["c"]
    bench.clear()


SPREAD = """
import os, sys
from pathlib import Path
from lamina.linux.mounts import MS_REC, MS_SHARED, mount, mountinfo
from lamina.linux.syscalls import CLONE_NEWNS, unshare
from snapshots.bench import Bench
unshare(CLONE_NEWNS)
mount("none", "/", flags=MS_REC | MS_SHARED)
bench = Bench(Path(sys.argv[1]), "erofs")
snapshot = bench.driver.prepare("one", [bench.files(a=b"a"), bench.files(b=b"b")])
root = snapshot.mount()
ours = [point for point in mountinfo() if point.target.startswith(str(bench.home))]
assert len(ours) == 4, ours
assert not any(tag.startswith("shared") for point in ours for tag in point.tags), ours
snapshot.unmount()
bench.clear()
assert not [point for point in mountinfo() if point.target.startswith(str(bench.home))]
"""


def test_mounts_do_not_spread_where_everything_is_shared(data_root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", SPREAD, str(data_root)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
