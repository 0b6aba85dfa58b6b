"""What a store finds after a crash, a reboot, another process, or damage."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.errors import Conflict, Corrupt, Unsupported
from lamina.layers.layer import Layer
from lamina.store.store import Store

AddLayer = Callable[[Store, bytes], Layer]


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked process that dies by SIGKILL after it; gives the wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def test_leftovers_are_swept(data_root: Path, files_below: Callable[[Path], set[str]]) -> None:
    Store.open(data_root).close()
    (data_root / "ingest/1-2").write_bytes(b"unfinished")
    (data_root / "blobs/sha256" / ("0" * 64)).write_bytes(b"renamed, but not recorded")
    (data_root / "layers/sha256" / ("1" * 64 + ".tar")).write_bytes(b"likewise")
    Store.open(data_root).close()
    assert files_below(data_root) == set()


def test_a_row_without_its_file_is_dropped_and_its_owner_told(data_root: Path) -> None:
    with Store.open(data_root) as store:
        digest = store.blobs.put(b"x")
        with store.transaction() as tx:
            tx.link("image:a", [digest])
        path = store.blobs.path(digest)
    path.unlink()
    with Store.open(data_root) as store, store.read() as view:
        assert store.lost == (digest,)
        assert not store.blobs.has(digest)
        assert view.broken_owners() == ("image:a",)


def test_what_was_not_synced_before_a_reboot_is_checked(data_root: Path, add_layer: AddLayer) -> None:
    def work() -> None:
        store = Store.open(data_root, boot="first")
        torn, whole = add_layer(store, b"torn"), add_layer(store, b"whole")
        blob = store.blobs.put(b"a blob")
        with store.transaction() as tx:
            tx.link("image:torn", [torn.diff_id, blob])
            tx.link("image:whole", [whole.diff_id])
        os.truncate(torn.tar, 512)
        whole.index.write_bytes(b"\0" * 100)
        store.blobs.path(blob).write_bytes(b"a blub")

    assert os.WTERMSIG(in_child(work)) == signal.SIGKILL
    with Store.open(data_root, boot="second") as store, store.read() as view:
        assert view.broken_owners() == ("image:torn",)
        (diff_id,) = view.owned("image:whole")
        assert store.layers.get(diff_id).index.stat().st_size > 1000, "the index was not made again"
        assert list(store.verify()) == []


def test_within_one_boot_nothing_is_read_again(data_root: Path, add_layer: AddLayer) -> None:
    def work() -> None:
        store = Store.open(data_root, boot="same")
        layer = add_layer(store, b"kept in the kernel's cache")
        with store.transaction() as tx:
            tx.link("image:a", [layer.diff_id])
        layer.index.write_bytes(b"a mark that reading again would replace")

    in_child(work)
    with Store.open(data_root, boot="same") as store, store.read() as view:
        (diff_id,) = view.owned("image:a")
        assert store.layers.get(diff_id).index.read_bytes().startswith(b"a mark")


def test_synced_content_is_not_read_after_a_reboot(data_root: Path, add_layer: AddLayer) -> None:
    with Store.open(data_root, boot="first") as store:
        layer = add_layer(store, b"x")
        with store.transaction() as tx:
            tx.link("image:a", [layer.diff_id])
        store.sync()
        layer.index.write_bytes(b"a mark")
    with Store.open(data_root, boot="second") as store:
        assert store.layers.get(layer.diff_id).index.read_bytes() == b"a mark"


def test_one_process_owns_a_root(data_root: Path) -> None:
    with Store.open(data_root):
        with pytest.raises(Conflict) as caught:
            Store.open(data_root)
        assert caught.value.facts["pid"] == os.getpid()
    Store.open(data_root).close()


def test_another_process_owns_a_root(data_root: Path) -> None:
    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        Store.open(data_root)
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    with pytest.raises(Conflict) as caught:
        Store.open(data_root)
    assert caught.value.facts["pid"] == pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    Store.open(data_root).close()
    for fd in (*ready, *done):
        os.close(fd)


def test_a_forked_child_does_not_keep_the_root(data_root: Path) -> None:
    end = os.pipe()
    store = Store.open(data_root)
    pid = os.fork()
    if pid == 0:
        os.close(end[1])
        os.read(end[0], 1)
        os._exit(0)
    store.close()
    Store.open(data_root).close()
    os.close(end[1])
    os.close(end[0])
    os.waitpid(pid, 0)


def test_a_newer_store_is_refused(data_root: Path) -> None:
    Store.open(data_root).close()
    with sqlite3.connect(data_root / "metadata.db") as connection:
        connection.execute("PRAGMA user_version=9999")
    with pytest.raises(Unsupported):
        Store.open(data_root)


def test_a_damaged_database_is_said_to_be_damaged(data_root: Path) -> None:
    Store.open(data_root).close()
    (data_root / "metadata.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(Corrupt):
        Store.open(data_root)


class Flushes:
    """What is flushed while the block runs, by path; `before` is called before each."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.paths: list[str] = []
        self._before = before
        self._fsync = os.fsync

    def __call__(self, fd: int) -> None:
        self._before()
        self.paths.append(os.readlink(f"/proc/self/fd/{fd}"))
        self._fsync(fd)


def test_content_that_came_again_during_a_flush_is_flushed_again(
    data_root: Path, add_layer: AddLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(data_root) as store:
        layer = add_layer(store, b"x")
        with store.transaction() as tx:
            tx.link("image:a", [layer.diff_id])

        def come_again() -> None:
            if flushes.paths:
                return
            with store.transaction() as tx:
                tx.unlink("image:a")
            assert tx.dropped
            with store.lease():
                again = add_layer(store, b"x")
                with store.transaction() as tx:
                    tx.link("image:a", [again.diff_id])

        flushes = Flushes(come_again)
        monkeypatch.setattr(os, "fsync", flushes)
        store.sync()
        first = len([path for path in flushes.paths if path.endswith(".tar")])
        store.sync()
        assert len([path for path in flushes.paths if path.endswith(".tar")]) == first + 1


def test_a_sync_flushes_the_log_whoever_reads(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes = Flushes()
    monkeypatch.setattr(os, "fsync", flushes)
    with Store.open(data_root) as store:
        with store.read() as view:
            view.get("bucket", "key")
            with store.transaction() as tx:
                tx.put("bucket", "key", b"value")
            store.sync()
            assert f"{data_root}/metadata.db-wal" in flushes.paths
