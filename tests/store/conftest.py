"""A store in a fresh root, and small layers to put into it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamina.formats.digest import Digest
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import ingest
from lamina.store.store import Store
from support.tars import tar


@pytest.fixture
def store(data_root: Path) -> Iterator[Store]:
    with Store.open(data_root) as opened:
        yield opened


@pytest.fixture
def make_tar() -> Callable[[dict[str, bytes]], bytes]:
    return tar


@pytest.fixture
def add_layer() -> Callable[[Store, bytes], Layer]:
    """Put a layer with one file of this content into a store."""

    def add(store: Store, content: bytes) -> Layer:
        with store.layers.create() as work:
            return work.commit(ingest(io.BytesIO(tar({"file": content})), work.tar, work.index))

    return add


@pytest.fixture
def files_below() -> Callable[[Path], set[str]]:
    """The content files and temporaries below a root, without the database."""

    def walk(root: Path) -> set[str]:
        found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        return {name for name in found if not name.startswith("metadata.db") and name not in ("lock", "reserve")}

    return walk


@pytest.fixture
def absent() -> Digest:
    return Digest.of(b"nobody put this anywhere")
