"""An image of as many entries as an archive may have: memory and work stay bounded."""

from __future__ import annotations

import io
import resource
import tarfile
from collections.abc import Iterator

import pytest

from lamina.api.explorer import Search
from lamina.errors import TooLarge
from lamina.explorer.explorer import Explorer
from lamina.layers.tar.source import PieceReader
from support.gallery import Gallery

ENTRIES = 1_000_000
LARGE_FOLDER = 200_000  # of them, in one folder
MEMORY = 1 << 30  # bytes that looking may add to what importing took


class EmptyFiles(PieceReader):
    """A tar of empty files, a thousand in each folder but the last, which has all that are left; made as it is read."""

    def __init__(self, folders: int, last: int) -> None:
        self._headers = self._make(folders, last)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._headers, b"")):
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _make(self, folders: int, last: int) -> Iterator[bytes]:
        template = bytearray(tarfile.TarInfo("x" * 20).tobuf(tarfile.USTAR_FORMAT))
        for folder in range(folders + 1):
            names = [f"d{folder:05}/f{number:011}" for number in range(1000 if folder < folders else last)]
            for first in range(0, len(names), 500):
                yield b"".join(_named(template, name) for name in names[first : first + 500])
        yield bytes(1024)


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
