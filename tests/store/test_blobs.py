"""Blobs: written once, verified, resumed, served."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.errors import Conflict, Corrupt, Internal, NotFound, TooLarge
from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.store.store import Store

AddLayer = Callable[[Store, bytes], Layer]


def test_what_was_committed_is_served(store: Store) -> None:
    with store.blobs.ingest() as ingest:
        ingest.write(b"hello ")
        ingest.write(memoryview(b"world"))
        digest = ingest.commit(Digest.of(b"hello world"))
    assert store.blobs.has(digest)
    assert store.blobs.size(digest) == 11
    assert store.blobs.read(digest) == b"hello world"
    with store.blobs.open(digest) as file:
        assert file.read(5) == b"hello"


def test_the_wrong_digest_leaves_nothing(store: Store, files_below: Callable[[Path], set[str]]) -> None:
    expected = Digest.of(b"good")
    with store.blobs.ingest() as ingest:
        ingest.write(b"bad")
        with pytest.raises(Corrupt) as caught:
            ingest.commit(expected)
    assert caught.value.facts["expected"] == expected
    assert caught.value.facts["found"] == Digest.of(b"bad")
    assert not store.blobs.has(expected)
    assert files_below(store.root) == set()


def test_leaving_without_commit_leaves_nothing(store: Store, files_below: Callable[[Path], set[str]]) -> None:
    with store.blobs.ingest() as ingest:
        ingest.write(b"half")
    assert files_below(store.root) == set()


def test_a_second_commit_is_a_bug(store: Store) -> None:
    with store.blobs.ingest() as ingest:
        ingest.commit()
        with pytest.raises(Internal):
            ingest.commit()


def test_an_ingest_with_a_ref_goes_on_where_it_stopped(data_root: Path) -> None:
    with Store.open(data_root) as store, store.blobs.ingest(ref="pull-x") as ingest:
        ingest.write(b"first ")
    with Store.open(data_root) as store, store.blobs.ingest(ref="pull-x") as ingest:
        assert ingest.offset == 6
        ingest.write(b"second")
        assert ingest.commit() == Digest.of(b"first second")


def test_a_resumed_ingest_can_begin_again(store: Store) -> None:
    with store.blobs.ingest(ref="x") as ingest:
        ingest.write(b"stale")
    with store.blobs.ingest(ref="x") as ingest:
        ingest.restart()
        ingest.write(b"fresh")
        assert ingest.commit() == Digest.of(b"fresh")


def test_a_resumed_ingest_that_proves_wrong_is_dropped(store: Store) -> None:
    with store.blobs.ingest(ref="x") as ingest:
        ingest.write(b"wrong")
        with pytest.raises(Corrupt):
            ingest.commit(Digest.of(b"right"))
    with store.blobs.ingest(ref="x") as ingest:
        assert ingest.offset == 0


def test_one_ref_is_open_once(store: Store) -> None:
    with store.blobs.ingest(ref="x"):
        with pytest.raises(Conflict):
            store.blobs.ingest(ref="x")
    with store.blobs.ingest(ref="x") as again:
        assert again.offset == 0


def test_other_algorithms(store: Store) -> None:
    digest = store.blobs.put(b"long", algorithm="sha512")
    assert digest == Digest.of(b"long", "sha512")
    assert store.blobs.read(digest) == b"long"


def test_the_tar_of_a_layer_is_a_blob_too(store: Store, add_layer: AddLayer) -> None:
    layer = add_layer(store, b"content")
    assert store.blobs.has(layer.diff_id)
    assert store.blobs.size(layer.diff_id) == layer.size
    assert store.blobs.path(layer.diff_id) == layer.tar


def test_bytes_of_a_layer_are_not_kept_twice(
    store: Store, add_layer: AddLayer, files_below: Callable[[Path], set[str]]
) -> None:
    layer = add_layer(store, b"content")
    before = files_below(store.root)
    with store.blobs.ingest() as ingest:
        ingest.write(layer.tar.read_bytes())
        ingest.commit(layer.diff_id)
    assert files_below(store.root) == before


def test_missing(store: Store, absent: Digest) -> None:
    assert not store.blobs.has(absent)
    for ask in (store.blobs.open, store.blobs.size, store.blobs.path, store.blobs.read):
        with pytest.raises(NotFound) as caught:
            ask(absent)
        assert caught.value.facts["digest"] == absent


def test_damaged_bytes_are_never_given_as_verified(store: Store) -> None:
    digest = store.blobs.put(b"whole")
    store.blobs.path(digest).write_bytes(b"whale")
    with pytest.raises(Corrupt):
        store.blobs.read(digest)
    assert [problem.facts["expected"] for problem in store.verify()] == [digest]


def test_documents_have_a_limit(store: Store) -> None:
    digest = store.blobs.put(b"x" * 100)
    with pytest.raises(TooLarge):
        store.blobs.read(digest, limit=99)
    assert store.blobs.read(digest, limit=100) == b"x" * 100


def test_an_open_blob_outlives_its_collection(store: Store) -> None:
    digest = store.blobs.put(b"still here")
    with store.blobs.open(digest) as file:
        store.collect()
        assert not store.blobs.has(digest)
        assert file.read() == b"still here"


def test_ingest_takes_streams_of_any_size(store: Store) -> None:
    source = io.BytesIO(b"0123456789" * 300_000)
    with store.blobs.ingest() as ingest:
        while piece := source.read(70_001):
            assert ingest.write(piece) == len(piece)
        digest = ingest.commit()
    assert digest == Digest.of(source.getvalue())
    assert ingest.size == len(source.getvalue())
