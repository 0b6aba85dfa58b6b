"""An image of as many entries as an archive may have: memory and work stay bounded."""

from __future__ import annotations

import io
import os
import resource
import tarfile
from collections import Counter
from collections.abc import Iterator

import pytest

from lamina.api.explorer import Search
from lamina.errors import TooLarge
from lamina.explorer.compare import MOST_FILES
from lamina.explorer.explorer import Explorer
from lamina.layers.index.tree import LayerTree
from lamina.layers.tar.source import PieceReader
from lamina.layers.tree import Content, Node
from support.gallery import Gallery

ENTRIES = 1_000_000
LARGE_FOLDER = 200_000  # of them, in one folder
MEMORY = 1 << 30  # bytes that looking may add to what importing took


SEARCHED = int(
    os.environ.get("LAMINA_EXPLORED_ENTRIES", "20000")
)  # 1000000 takes a quarter of an hour and 2 GB of disk
PER_ENTRY = 1024  # bytes of memory that an entry may take while an image is searched


class EmptyFiles(PieceReader):
    """A tar of empty files, a thousand in each folder but the last, which has all that are left; made as it is read."""

    body = b""  # of each file

    def __init__(self, folders: int, last: int) -> None:
        self._headers = self._make(folders, last)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._headers, b"")):
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _make(self, folders: int, last: int) -> Iterator[bytes]:
        member = tarfile.TarInfo("x" * 20)
        member.size = len(self.body)
        template = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
        for folder in range(folders + 1):
            names = [f"d{folder:05}/f{number:011}" for number in range(1000 if folder < folders else last)]
            for first in range(0, len(names), 500):
                body = self.body.ljust(-(-len(self.body) // 512) * 512, b"\0")
                yield b"".join(_named(template, name) + body for name in names[first : first + 500])
        yield bytes(1024)


class Texts(EmptyFiles):
    """A tar of files with a line of text."""

    body = b"one line that says nothing\n"


class OtherTexts(EmptyFiles):
    """A tar of files with another line of the same length."""

    body = b"one line that says nothing!"


def _named(template: bytearray, name: str) -> bytes:
    header = template[:]
    header[:20] = name.encode().ljust(20, b"\0")[:20]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_entries_are_listed_found_and_summed_up(gallery: Gallery, explorer: Explorer) -> None:
    folders = (ENTRIES - LARGE_FOLDER) // 1000
    gallery.images.import_tar(io.BufferedReader(EmptyFiles(folders, LARGE_FOLDER), 1 << 20), "million")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert len(explorer.files("million")) == folders + 1
    assert len(explorer.files("million", "/d00000")) == 1000
    with pytest.raises(TooLarge):
        explorer.files("million", f"/d{folders:05}")
    assert len(explorer.find("million", Search(limit=1000))) == 1000
    assert explorer.find("million", Search(text="nowhere")) == ()
    report = explorer.report("million")
    assert (report.hidden_files, report.size) == (0, 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MEMORY


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_searches_of_many_files_read_each_once(
    gallery: Gallery, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = SEARCHED // 1000
    gallery.images.import_tar(io.BufferedReader(Texts(folders, 0), 1 << 20), "texts")
    gallery.images.import_tar(io.BufferedReader(OtherTexts(folders, 0), 1 << 20), "others")
    counts: Counter[str] = Counter()
    read, children = LayerTree.read, LayerTree.children

    def counted_read(tree: LayerTree, node: Node) -> Content:
        counts["read"] += 1
        return read(tree, node)

    def counted_children(tree: LayerTree, path: str) -> Iterator[Node]:
        counts["folder"] += 1
        return children(tree, path)

    monkeypatch.setattr(LayerTree, "read", counted_read)
    monkeypatch.setattr(LayerTree, "children", counted_children)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    all_folders = folders + 2  # with the root, and an empty one

    assert explorer.secrets("texts") == ()
    assert counts["read"] == folders * 1000
    assert counts.pop("folder") <= all_folders
    assert explorer.savings("texts") == ()
    assert counts.pop("read") == folders * 1000  # files as small as these are not looked at for copies
    assert counts.pop("folder") <= 2 * all_folders
    difference = explorer.compare("texts", "others")
    assert (len(difference.files), difference.omitted) == (min(SEARCHED, MOST_FILES), max(0, SEARCHED - MOST_FILES))
    assert counts["read"] <= 2 * SEARCHED + 2 * MOST_FILES + 1000  # to compare, for the lines of some, and for packages
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < (64 << 20) + SEARCHED * PER_ENTRY
