"""What stands between an image and a container's own layer: real places for all that a runtime makes by path."""

from __future__ import annotations

import pytest

from lamina.layers.entry import Entry, EntryType
from lamina.sandbox.init_layers import DIRECTORIES, FILES, MTAB, init_entries


def _added(*entries: Entry) -> dict[str, EntryType]:
    tree = {entry.path: entry for entry in entries}
    return {entry.path: entry.type for entry in init_entries(tree.get)}


def _directories(*paths: str) -> list[Entry]:
    return [Entry(path, EntryType.DIRECTORY, 0o755) for path in paths]


def test_an_empty_tree_gets_all() -> None:
    paths = [entry.path for entry in init_entries(lambda path: None)]
    assert paths == sorted((*DIRECTORIES, *FILES, MTAB))


def test_what_is_there_stays() -> None:
    files = [Entry(path, EntryType.REGULAR, 0o600) for path in FILES]
    assert _added(*_directories(*DIRECTORIES), *files, Entry(MTAB, EntryType.REGULAR)) == {}


@pytest.mark.parametrize("kind", [EntryType.SYMLINK, EntryType.REGULAR, EntryType.FIFO, EntryType.CHAR])
def test_a_directory_takes_the_place_of_anything_else(kind: EntryType) -> None:
    added = _added(*_directories("proc", "sys", "etc"), Entry("dev", kind, target="/elsewhere"))
    assert {path: added[path] for path in added if path.startswith("dev")} == {
        "dev": EntryType.DIRECTORY,
        "dev/pts": EntryType.DIRECTORY,
        "dev/shm": EntryType.DIRECTORY,
        "dev/console": EntryType.REGULAR,
    }


@pytest.mark.parametrize("kind", [EntryType.SYMLINK, EntryType.FIFO, EntryType.CHAR, EntryType.BLOCK])
def test_a_file_takes_the_place_of_links_and_devices(kind: EntryType) -> None:
    assert _added(*_directories("etc"), Entry("etc/hosts", kind, target="/elsewhere"))["etc/hosts"] is EntryType.REGULAR


def test_below_a_replaced_directory_nothing_is_left() -> None:
    below = Entry("dev/pts", EntryType.DIRECTORY, 0o755)  # as a careless tree would follow the link
    assert "dev/pts" in _added(Entry("dev", EntryType.SYMLINK, target="/elsewhere"), below)
