"""Layers: a tar and its index, kept and verified together."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.errors import Corrupt, InvalidInput, NotFound
from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import ingest
from lamina.store.store import Store

AddLayer = Callable[[Store, bytes], Layer]


def test_a_layer_is_its_tar_and_its_index(
    store: Store, add_layer: AddLayer, make_tar: Callable[[dict[str, bytes]], bytes]
) -> None:
    layer = add_layer(store, b"content")
    assert layer.tar.read_bytes() == make_tar({"file": b"content"})
    assert layer.diff_id == Digest.of(layer.tar.read_bytes())
    assert layer.index.stat().st_size > 0
    assert store.layers.get(layer.diff_id) == layer
    assert store.layers.at(layer.diff_id, layer.size) == layer


def test_sizes(store: Store, add_layer: AddLayer) -> None:
    layer = add_layer(store, b"12345")
    (sizes,) = store.layers.sizes([layer.diff_id])
    assert sizes.tar_bytes == layer.tar.stat().st_size
    assert sizes.index_bytes == layer.index.stat().st_size
    assert sizes.file_bytes == 5


def test_a_layer_that_is_there_is_kept_as_it_is(store: Store, add_layer: AddLayer) -> None:
    first = add_layer(store, b"same")
    inode = first.tar.stat().st_ino
    second = add_layer(store, b"same")
    assert second == first
    assert second.tar.stat().st_ino == inode


def test_the_wrong_diff_id_leaves_nothing(
    store: Store, make_tar: Callable[[dict[str, bytes]], bytes], files_below: Callable[[Path], set[str]], absent: Digest
) -> None:
    with pytest.raises(Corrupt) as caught, store.layers.create() as work:
        work.commit(ingest(io.BytesIO(make_tar({"a": b""})), work.tar, work.index), expected=absent)
    assert caught.value.facts["expected"] == absent
    assert files_below(store.root) == set()


def test_a_broken_tar_leaves_nothing(store: Store, files_below: Callable[[Path], set[str]]) -> None:
    with pytest.raises(InvalidInput), store.layers.create() as work:
        ingest(io.BytesIO(b"no tar at all" * 100), work.tar, work.index)
    assert files_below(store.root) == set()


def test_verify_finds_damage(store: Store, add_layer: AddLayer) -> None:
    layer = add_layer(store, b"content")
    store.layers.verify(layer.diff_id)
    with layer.tar.open("r+b") as file:
        file.seek(512)
        file.write(b"C")
    with pytest.raises(Corrupt):
        store.layers.verify(layer.diff_id)


def test_missing(store: Store, absent: Digest) -> None:
    assert not store.layers.has(absent)
    with pytest.raises(NotFound):
        store.layers.get(absent)
    with pytest.raises(NotFound):
        store.layers.sizes([absent])
    with pytest.raises(NotFound):
        store.layers.verify(absent)
