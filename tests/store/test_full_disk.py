"""A full disk: a clear error, and the store as it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lamina.errors import NoSpace
from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.store.store import Store

AddLayer = Callable[[Store, bytes], Layer]
MIB = 1 << 20

pytestmark = pytest.mark.root


def test_a_blob_that_does_not_fit(small_disk: Path, files_below: Callable[[Path], set[str]]) -> None:
    with Store.open(small_disk / "root") as store:
        kept = store.blobs.put(b"kept")
        with pytest.raises(NoSpace):
            fill(store, 20 * MIB)
        assert files_below(store.root) == {f"blobs/sha256/{kept.encoded}"}
        assert list(store.verify()) == []
        assert store.blobs.read(store.blobs.put(b"more")) == b"more"


def fill(store: Store, size: int) -> Digest:
    with store.blobs.ingest() as ingest:
        for _ in range(size // MIB):
            ingest.write(bytes(MIB))
        return ingest.commit()


def test_a_layer_that_does_not_fit(
    small_disk: Path, add_layer: AddLayer, files_below: Callable[[Path], set[str]]
) -> None:
    with Store.open(small_disk / "root") as store:
        with pytest.raises(NoSpace):
            add_layer(store, bytes(20 * MIB))
        assert files_below(store.root) == set()


def test_records_that_do_not_fit(small_disk: Path) -> None:
    with Store.open(small_disk / "root") as store:
        with store.transaction() as tx:
            tx.put("box", "old", b"old")
        with pytest.raises(NoSpace):
            write_records(store)
        with store.transaction() as tx:
            assert tx.get("box", "old") == b"old"
            assert tx.get("box", "0") is None
            tx.put("box", "small", b"fits")


def write_records(store: Store) -> None:
    with store.transaction() as tx:
        for number in range(20):
            tx.put("box", str(number), bytes(MIB))


def test_a_full_store_can_be_emptied(small_disk: Path) -> None:
    with Store.open(small_disk / "root") as store:
        digest = fill(store, 4 * MIB)
        with store.transaction() as tx:
            tx.link("image:a", [digest])
        rest = small_disk / "rest"
        with rest.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        with pytest.raises(NoSpace):
            write_records(store)
        with store.transaction() as tx:
            tx.unlink("image:a")
        assert not store.blobs.has(digest)
        rest.unlink()
