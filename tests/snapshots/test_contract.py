"""What every driver promises, held against all three."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from lamina.errors import Conflict, Corrupt, InvalidInput, NotFound
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.tree import Tree, walk
from lamina.snapshots.driver import Snapshot
from snapshots.bench import Bench

pytestmark = pytest.mark.root


def changes(snapshot: Snapshot) -> list[str]:
    return [f"{change.kind} {change.path}" for change in snapshot.changes()]


def paths(tree: Tree) -> list[str]:
    return [node.entry.path for node in walk(tree) if node.entry.path]


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def base(builder: LayerBuilder) -> None:
    builder.add(Entry("etc", EntryType.DIRECTORY, 0o755))
    builder.add(Entry("etc/passwd", EntryType.REGULAR, 0o644, size=5), b"root\n")
    builder.add(Entry("etc/shadow", EntryType.REGULAR, 0o600, size=2), b"x\n")
    builder.add(Entry("srv", EntryType.DIRECTORY, 0o755))
    builder.add(Entry("srv/old", EntryType.REGULAR, 0o644, size=3), b"old")
    builder.add(Entry("tmp", EntryType.DIRECTORY, 0o1777, mtime_ns=5_000_000_000))


def upper(builder: LayerBuilder) -> None:
    builder.add(Entry("etc", EntryType.DIRECTORY, 0o755))
    builder.whiteout("etc/shadow")
    builder.add(Entry("etc/hosts", EntryType.REGULAR, 0o644, size=2), b"h\n")
    builder.add(Entry("srv", EntryType.DIRECTORY, 0o755))
    builder.opaque("srv")
    builder.add(Entry("srv/new", EntryType.REGULAR, 0o644, size=3), b"new")


MERGED = ["etc", "etc/hosts", "etc/passwd", "srv", "srv/new", "tmp"]


def test_layers_are_seen_as_one_tree_mounted_and_not(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base), bench.layer(upper)])
    assert paths(snapshot.tree()) == MERGED
    root = snapshot.mount()
    assert listing(root) == MERGED
    assert (root / "srv/new").read_bytes() == b"new"
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777
    assert changes(snapshot) == []
    snapshot.unmount()


def test_changes_show_in_the_diff_the_tree_and_the_layer_made_of_them(bench: Bench) -> None:
    layers = [bench.layer(base), bench.layer(upper)]
    snapshot = bench.driver.prepare("one", layers)
    root = snapshot.mount()
    (root / "etc/passwd").unlink()
    (root / "srv/new").write_bytes(b"newer")
    (root / "srv/more").write_bytes(b"")
    (root / "var").mkdir()
    (root / "var/log").write_bytes(b"12345678")
    (root / "var/link").symlink_to("log")
    expected = ["C etc", "D etc/passwd", "C srv", "A srv/more", "C srv/new", "A var", "A var/link", "A var/log"]
    assert changes(snapshot) == expected
    assert snapshot.usage() == 5 + 8 + 3
    merged = ["etc", "etc/hosts", "srv", "srv/more", "srv/new", "tmp", "var", "var/link", "var/log"]
    assert paths(snapshot.tree()) == merged
    found = snapshot.tree().lookup("var/log")
    assert found is not None
    with snapshot.tree().read(found) as log:
        assert log.read() == b"12345678"
    snapshot.unmount()
    assert changes(snapshot) == expected

    again = bench.driver.prepare("two", [*layers, bench.capture(snapshot)])
    assert paths(again.tree()) == merged
    assert listing(again.mount()) == merged
    assert again.usage() == 0
    again.unmount()


def test_changes_outlive_the_process_and_the_mount(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base)])
    (snapshot.mount() / "made").write_bytes(b"made")
    snapshot.unmount()
    bench.driver.close()
    driver = bench.reopen()
    driver.sweep(["one"])
    again = driver.get("one")
    assert again.layers == snapshot.layers
    assert (again.mount() / "made").read_bytes() == b"made"
    assert changes(again) == ["A made"]
    again.unmount()


def test_what_is_not_durable_still_outlives_the_process(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base)], durable=False)
    (snapshot.mount() / "made").write_bytes(b"made")
    driver = bench.reopen()
    driver.sweep(["one"], running=[])
    again = driver.get("one")
    assert (again.mount() / "made").read_bytes() == b"made"
    assert changes(again) == ["A made"]
    again.unmount()


def test_sync_brings_durable_ones_to_the_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[Path] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        flushed.append(Path(os.readlink(f"/proc/self/fd/{fd}")))
        real(fd)

    layer = bench.layer(base)
    for key, durable in (("kept", True), ("gone", True), ("passing", False)):
        bench.driver.prepare(key, [layer], durable=durable)
    bench.driver.remove("gone")
    monkeypatch.setattr(os, "fsync", fsync)
    bench.driver.sync()
    keys = {path.parent.name for path in flushed if path.name == "snapshot.json"}
    assert keys == (set() if bench.name == "copy" else {"kept"})
    bench.driver.sync()
    assert len(flushed) == (0 if bench.name == "copy" else 3)


def test_a_sweep_removes_what_nobody_wants(bench: Bench) -> None:
    layer = bench.layer(base)
    for key in ("kept", "dropped"):
        bench.driver.prepare(key, [layer]).mount()
    home = bench.home / bench.name / "snapshots"
    (home / ".new-half").mkdir()
    (home / ".old-half").mkdir()
    driver = bench.reopen()
    driver.sweep(["kept"], running=[])
    assert driver.keys() == ["kept"]
    assert sorted(path.name for path in home.iterdir()) == ["kept"]
    assert str(bench.home) not in Path("/proc/self/mountinfo").read_text()


def test_a_running_container_keeps_its_mount_over_a_restart(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base)])
    root = snapshot.mount()
    (root / "before").write_bytes(b"")
    driver = bench.reopen()
    driver.sweep(["one"])
    assert (root / "before").exists()
    again = driver.get("one")
    assert again.mount() == root
    again.unmount()
    assert (root / "before").exists()
    again.unmount()
    driver.remove("one")
    assert not root.exists()


def test_mounts_are_counted(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base)])
    assert snapshot.mount() == bench.driver.get("one").mount()
    snapshot.unmount()
    assert (snapshot.directories.merged / "etc/passwd").exists()
    for _ in range(3):
        snapshot.unmount()
    assert snapshot.mount() / "etc/passwd"
    snapshot.unmount()


def test_directories_are_real_while_mounted(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base), bench.layer(upper)])
    snapshot.mount()
    directories = snapshot.directories
    assert all(path.is_dir() for path in directories.lower)
    assert directories.merged.is_dir()
    assert directories.upper is not None
    assert directories.upper.is_dir()
    snapshot.unmount()


def test_keys_are_plain_names_and_taken_once(bench: Bench) -> None:
    bench.driver.prepare("one", [])
    with pytest.raises(Conflict):
        bench.driver.prepare("one", [])
    for key in ("", "..", "a/b", ".new-x", "x" * 300):
        with pytest.raises(InvalidInput):
            bench.driver.prepare(key, [])
    with pytest.raises(NotFound):
        bench.driver.get("two")
    bench.driver.remove("two")
    bench.driver.remove("one")
    bench.driver.remove("one")
    assert bench.driver.keys() == []


def test_removing_takes_a_mounted_one_away_and_it_is_gone_for_good(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base)])
    snapshot.mount()
    snapshot.mount()
    bench.driver.remove("one")
    assert not snapshot.directories.merged.exists()
    with pytest.raises(NotFound):
        snapshot.mount()


def test_no_layer_at_all_is_an_empty_tree(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [])
    root = snapshot.mount()
    assert listing(root) == []
    (root / "made").write_bytes(b"x")
    snapshot.unmount()
    assert changes(snapshot) == ["A made"]


def test_a_view_shows_the_layers_and_has_no_changes(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base)], writable=False)
    root = snapshot.mount()
    assert (root / "etc/passwd").read_bytes() == b"root\n"
    assert paths(snapshot.tree()) == ["etc", "etc/passwd", "etc/shadow", "srv", "srv/old", "tmp"]
    assert changes(snapshot) == []
    assert snapshot.usage() == 0
    snapshot.unmount()


def test_the_same_layer_may_come_twice(bench: Bench) -> None:
    first, second = bench.files(a=b"1"), bench.files(a=b"2", b=b"2")
    snapshot = bench.driver.prepare("one", [first, second, first])
    root = snapshot.mount()
    assert {name: (root / name).read_bytes() for name in ("a", "b")} == {"a": b"1", "b": b"2"}
    assert paths(snapshot.tree()) == ["a", "b"]
    snapshot.unmount()


def test_parents_a_layer_leaves_out_keep_what_the_layers_below_say(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base), bench.files(tmp__x=b"x")])
    root = snapshot.mount()
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777
    found = snapshot.tree().lookup("tmp")
    assert found is not None
    assert found.entry.mode == 0o1777
    assert changes(snapshot) == []
    snapshot.unmount()


@pytest.mark.parametrize("writable", [True, False])
def test_the_root_has_the_attributes_that_the_image_gives_it(bench: Bench, writable: bool) -> None:
    def steps(builder: LayerBuilder) -> None:
        builder.add(Entry("", EntryType.DIRECTORY, 0o750, uid=7, gid=8, mtime_ns=9_000_000_000))
        builder.add(Entry("file", EntryType.REGULAR))

    snapshot = bench.driver.prepare("one", [bench.layer(steps), bench.files(other=b"")], writable=writable)
    status = snapshot.mount().stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o750, 7, 8)
    assert changes(snapshot) == []
    snapshot.unmount()


def test_missing_files_of_a_layer_are_told(bench: Bench) -> None:
    layer = bench.layer(base)
    layer.tar.unlink()
    with pytest.raises(Corrupt):
        bench.driver.prepare("one", [layer])
    assert bench.driver.keys() == []


def test_all_files_of_a_tree_are_on_one_device(bench: Bench) -> None:
    snapshot = bench.driver.prepare("one", [bench.layer(base), bench.layer(upper)])
    root = snapshot.mount()
    (root / "made").write_bytes(b"")
    assert len({os.lstat(root / path).st_dev for path in ["", "made", *MERGED]}) == 1
    snapshot.unmount()


def test_many_at_once(bench: Bench) -> None:
    layers = [bench.layer(base), bench.layer(upper)]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(4):
                snapshot = bench.driver.prepare(f"{number}-{turn}", layers)
                root = snapshot.mount()
                assert listing(root) == MERGED
                (root / "etc/hosts").write_bytes(str(number).encode())
                assert "C etc/hosts" in changes(snapshot)
                snapshot.unmount()
                bench.driver.remove(snapshot.key)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert bench.driver.keys() == []
