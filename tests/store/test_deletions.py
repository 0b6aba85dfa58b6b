"""Large files go in a thread; nothing stays behind, and a disk without room does not wait for one."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamina.layers.layer import Layer
from lamina.store.deletions import Deletions
from lamina.store.store import Store

MIB = 1 << 20
_removals: list[tuple[str, str]] = []  # the paths that were removed, and the threads that did it


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "os.remove" and isinstance(arguments[0], str | os.PathLike):
        _removals.append((os.fspath(arguments[0]), threading.current_thread().name))


sys.addaudithook(_note)


@pytest.fixture
def removers() -> Iterator[Callable[[Path], set[str]]]:
    """The names of the threads that removed files below a folder."""
    _removals.clear()
    yield lambda folder: {thread for path, thread in _removals if path.startswith(f"{folder}/")}
    _removals.clear()


def test_a_layer_is_deleted_by_the_thread(
    data_root: Path, add_layer: Callable[[Store, bytes], Layer], removers: Callable[[Path], set[str]]
) -> None:
    with Store.open(data_root) as store:
        add_layer(store, os.urandom(5 * MIB))
        _removals.clear()
        store.collect()
    dropped = {thread for path, thread in _removals if path.endswith(".dropped")}
    assert "lamina-store-delete" in dropped
    assert list((data_root / "ingest").iterdir()) == []


def test_small_files_are_gone_at_once(tmp_path: Path) -> None:
    file = tmp_path / "small"
    file.write_bytes(b"x")
    Deletions(tmp_path).delete([file, tmp_path / "missing"])
    assert not file.exists()


def test_a_closed_one_deletes_by_itself(tmp_path: Path, removers: Callable[[Path], set[str]]) -> None:
    deletions = Deletions(tmp_path)
    files = [tmp_path / f"{number}" for number in range(2)]
    for file in files:
        with file.open("wb") as writing:
            writing.truncate(5 * MIB)
    deletions.delete(files[:1])
    deletions.close()
    assert removers(tmp_path) == {"lamina-store-delete"}
    deletions.delete(files[1:])
    deletions.close()
    assert not any(file.exists() for file in files)
    assert removers(tmp_path) == {"lamina-store-delete", threading.current_thread().name}
