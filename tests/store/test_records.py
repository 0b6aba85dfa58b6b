"""Records and owners in transactions."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from lamina.errors import Internal, NotFound
from lamina.formats.digest import Digest
from lamina.store.store import Store


def test_documents_come_back_after_reopening(data_root: Path) -> None:
    with Store.open(data_root) as store, store.transaction() as tx:
        tx.put("box", "one", b"\x00\xff")
        tx.put("box", "two", b"2")
        tx.put("other", "one", b"o")
    with Store.open(data_root) as store, store.read() as view:
        assert view.get("box", "one") == b"\x00\xff"
        assert list(view.items("box")) == [("one", b"\x00\xff"), ("two", b"2")]
        assert view.get("box", "three") is None


def test_items_by_prefix(store: Store) -> None:
    with store.transaction() as tx:
        for key in ("a", "ab", "abc", "b", "a%", "ä"):
            tx.put("box", key, b"")
        assert [key for key, _ in tx.items("box", "ab")] == ["ab", "abc"]
        assert [key for key, _ in tx.items("box", "a%")] == ["a%"]
        assert [key for key, _ in tx.items("box", "ä")] == ["ä"]


def test_delete_tells_whether_there_was_something(store: Store) -> None:
    with store.transaction() as tx:
        tx.put("box", "key", b"")
        assert tx.delete("box", "key")
        assert not tx.delete("box", "key")


def test_a_block_that_raises_changes_nothing(store: Store) -> None:
    digest = store.blobs.put(b"x")
    with suppress(ZeroDivisionError), store.transaction() as tx:
        tx.put("box", "key", b"")
        tx.link("image:a", [digest])
        raise ZeroDivisionError
    with store.read() as view:
        assert view.get("box", "key") is None
        assert view.owned("image:a") == ()


def test_owners(store: Store) -> None:
    one, two = store.blobs.put(b"1"), store.blobs.put(b"2")
    with store.transaction() as tx:
        tx.link("image:a", [one, two])
        tx.link("container:b", [one])
    with store.read() as view:
        assert set(view.owned("image:a")) == {one, two}
        assert view.owned("container:b") == (one,)
        assert view.broken_owners() == ()


def test_holding_one_more_and_one_less(store: Store) -> None:
    one, two = store.blobs.put(b"1"), store.blobs.put(b"2")
    with store.transaction() as tx:
        tx.link("image:a", [one])
        tx.hold("image:a", two)
        tx.hold("image:a", two)
    with store.transaction() as tx:
        tx.let_go("image:a", one)
        assert tx.owned("image:a") == (two,)
    assert tx.dropped == (one,)


def test_only_what_is_there_can_be_held(store: Store, absent: Digest) -> None:
    with pytest.raises(NotFound) as caught, store.transaction() as tx:
        tx.link("image:a", [absent])
    assert str(caught.value.facts["digest"]) == str(absent)


def test_a_transaction_inside_another_is_a_bug_and_not_a_deadlock(store: Store) -> None:
    with store.transaction():
        with pytest.raises(Internal), store.transaction():
            pass
    with store.transaction() as tx:
        tx.put("box", "still", b"works")


def test_readers_neither_wait_for_a_writer_nor_see_its_work(store: Store) -> None:
    with store.transaction() as tx:
        tx.put("box", "key", b"old")
    with store.read() as before, store.transaction() as tx:
        tx.put("box", "key", b"new")
        assert before.get("box", "key") == b"old"
        with store.read() as during:
            assert during.get("box", "key") == b"old"
    with store.read() as after:
        assert after.get("box", "key") == b"new"


def test_writers_take_turns(store: Store) -> None:
    def count_up() -> None:
        for _ in range(50):
            with store.transaction() as tx:
                tx.put("box", "count", b"%d" % (int(tx.get("box", "count") or 0) + 1))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as view:
        assert view.get("box", "count") == b"200"


def test_use_after_close_is_a_bug(data_root: Path) -> None:
    store = Store.open(data_root)
    store.close()
    store.close()
    with pytest.raises(Internal), store.read():
        pass


def test_many_readers_at_once_leave_few_connections(store: Store) -> None:
    def connected() -> int:
        """By the log, which each has open; of the database itself SQLite keeps descriptors for the next ones."""
        return sum(os.readlink(fd).endswith("metadata.db-wal") for fd in Path("/proc/self/fd").iterdir() if fd.exists())

    with ExitStack() as readers:
        for view in [readers.enter_context(store.read()) for _ in range(100)]:
            assert view.get("box", "key") is None
        assert connected() >= 100
    assert connected() < 20


def test_a_generation_changes_with_its_documents_alone(store: Store) -> None:
    before = store.generation("box")
    with store.transaction() as tx:
        tx.put("box", "one", b"1")
        assert store.generation("box") == before  # nobody else can see the change yet
    assert store.generation("box") == before + 1
    with suppress(KeyError), store.transaction() as tx:
        tx.delete("box", "one")
        raise KeyError
    with store.transaction() as tx:
        tx.put("other", "one", b"1")
    assert store.generation("box") == before + 1
    assert store.generation("box", "other") == before + 2
