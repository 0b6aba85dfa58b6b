"""Snapshots whose files belong to the users of a namespace while they are mounted, and to their own on disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.errors import Unsupported
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer_writer import LayerBuilder
from lamina.linux.mounts import mount, umount2
from lamina.linux.processes import making_files_of
from lamina.linux.user_namespaces import IdMap, IdRange, UserNamespace, user_namespace
from lamina.snapshots.choose import NAMES, check_idmapped
from snapshots.bench import Bench

pytestmark = pytest.mark.root

IDS = IdMap((IdRange(0, 300_000, 65_536),), (IdRange(0, 400_000, 65_536),))


@pytest.fixture
def userns(tmp_path: Path) -> Iterator[UserNamespace]:
    made = user_namespace(tmp_path / "users", IDS)
    yield made
    made.remove()


@pytest.fixture(params=NAMES)
def mapping(request: pytest.FixtureRequest, data_root: Path) -> Iterator[Bench]:
    made = Bench(data_root, request.param)
    yield made
    made.clear()


def steps(builder: LayerBuilder) -> None:
    builder.add(Entry("of-root", EntryType.REGULAR, 0o644, 0, 0, size=1), b"x")
    builder.add(Entry("of-user", EntryType.REGULAR, 0o4755, 1000, 1001, size=1), b"x")
    builder.add(Entry("gone", EntryType.REGULAR, size=1), b"x")


def owner(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid


def test_owners_are_mapped_while_mounted_and_kept_in_changes(mapping: Bench, userns: UserNamespace) -> None:
    layers = [mapping.layer(steps), mapping.files(above=b"y")]
    snapshot = mapping.driver.prepare("one", layers)
    root = snapshot.mount(userns)
    try:
        assert owner(root) == owner(root / "of-root") == (300_000, 400_000)
        assert owner(root / "of-user") == (301_000, 401_001)
        with making_files_of(IDS.root):
            (root / "new").write_text("made")
            os.chown(root / "new", 300_007, 400_008)
            (root / "of-user").write_text("more")  # copied up
            (root / "gone").unlink()
            (root / "folder").mkdir()
    finally:
        snapshot.unmount()
    upper = snapshot.directories.upper
    assert upper is not None
    assert (owner(upper / "new"), owner(upper / "of-user"), owner(upper / "folder")) == ((7, 8), (1000, 1001), (0, 0))
    assert [(change.kind, change.path) for change in snapshot.changes()] == [
        *(("A", "folder"), ("D", "gone"), ("A", "new"), ("C", "of-user"))
    ]
    again = mapping.driver.prepare("two", [*layers, mapping.capture(snapshot)])
    root = again.mount()
    try:
        assert (owner(root / "new"), owner(root / "of-user"), owner(root)) == ((7, 8), (1000, 1001), (0, 0))
        assert stat.S_IMODE((root / "folder").stat().st_mode) == 0o755
    finally:
        again.unmount()


def test_two_users_share_the_layers_of_one_image(mapping: Bench, userns: UserNamespace) -> None:
    layer = mapping.layer(steps)
    mapped, plain = mapping.driver.prepare("mapped", [layer]), mapping.driver.prepare("plain", [layer], writable=False)
    roots = mapped.mount(userns), plain.mount()
    assert [owner(root / "of-user") for root in roots] == [(301_000, 401_001), (1000, 1001)]
    assert mapped.directories.lower == plain.directories.lower
    mapped.unmount()
    plain.unmount()


def test_many_layers_are_mapped_together(mapping: Bench, userns: UserNamespace) -> None:
    layers = [mapping.files(**{f"f{number}": b"x"}) for number in range(60)]
    snapshot = mapping.driver.prepare("deep", layers)
    root = snapshot.mount(userns)
    assert {owner(root / f"f{number}") for number in range(60)} == {(300_000, 400_000)}
    snapshot.unmount()


def test_an_engine_that_comes_back_finds_what_is_mounted(mapping: Bench, userns: UserNamespace) -> None:
    snapshot = mapping.driver.prepare("running", [mapping.layer(steps)])
    mapping.driver.prepare("ended", [mapping.layer(steps)]).mount(userns)
    root = snapshot.mount(userns)
    driver = mapping.reopen()
    driver.sweep(["running", "ended"], running=["running"])
    assert owner(driver.get("running").mount(userns) / "of-root") == (300_000, 400_000)
    for _ in range(2):
        driver.get("running").unmount()
    for key in ("running", "ended"):
        plain = driver.get(key).mount()
        assert plain.name == root.name
        assert owner(plain / "of-root") == (0, 0)
        driver.get(key).unmount()
    driver.remove("running")
    assert driver.keys() == ["ended"]


def test_a_trial_leaves_nothing_behind(mapping: Bench, userns: UserNamespace) -> None:
    before = sorted(os.listdir(mapping.home))
    check_idmapped(mapping.driver, mapping.home, userns)
    assert sorted(os.listdir(mapping.home)) == before


def test_a_file_system_that_cannot_map_is_named(mapping: Bench, userns: UserNamespace, tmp_path: Path) -> None:
    small = tmp_path / "ramfs"
    small.mkdir()
    mount("ramfs", small, "ramfs")
    try:
        with pytest.raises(Unsupported, match=r"userns-remap does not work below .*ramfs: .*Invalid argument"):
            check_idmapped(mapping.driver, small, userns)
    finally:
        umount2(small)
