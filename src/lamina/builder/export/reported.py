"""Outputs of a build that is followed by messages: progress is text, and files are pieces of a tar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from lamina.builder.cache_exchange.cache_folder import FindFolder, no_folder
from lamina.builder.export.files import write_tar
from lamina.cancellation import Cancellation
from lamina.credentials import Credentials
from lamina.formats.reference import Reference
from lamina.layers.tar.writer import Writable
from lamina.layers.tree import Tree
from lamina.progress import Output, Report

_PIECE = 256 << 10


class ReportedOutput:
    """One output: an ExportClient. `take` gets the pieces of its file, and None at the end."""

    def __init__(
        self,
        report: Report,
        take: Callable[[bytes | None], object],
        credentials: Callable[[Reference], Credentials | None],
        cancellation: Cancellation,
        cache_folder: FindFolder = no_folder,
    ) -> None:
        self._report = report
        self._take = take
        self._credentials = credentials
        self.cancellation = cancellation
        self.cache_folder = cache_folder

    @contextmanager
    def step(self, name: str) -> Iterator[Report]:
        """Tell that a part of the work begins, and what it reports."""
        self._report(Output(f"{name}\n"))
        yield self._report

    def send_files(self, tree: Tree) -> None:
        """Send a tree as a tar."""
        with self.stream({}) as sink:
            write_tar(tree, sink)

    def layout_folder(self) -> None:
        """Return None: the client unpacks a layout itself."""

    def stream(self, told: Mapping[str, str]) -> AbstractContextManager[Writable]:
        """Provide what sends the file of this output."""
        return self._stream()

    @contextmanager
    def _stream(self) -> Iterator[Writable]:
        pieces = _Pieces(self._take, self.cancellation)
        yield pieces
        pieces.flush()
        self._take(None)

    def credentials(self, reference: Reference) -> Credentials | None:
        """Return who the user is at a registry."""
        return self._credentials(reference)


class _Pieces:
    def __init__(self, take: Callable[[bytes | None], object], cancellation: Cancellation) -> None:
        self._take = take
        self._cancellation = cancellation
        self._waiting = bytearray()

    def write(self, data: bytes, /) -> int:
        self._waiting += data
        if len(self._waiting) >= _PIECE:
            self.flush()
        return len(data)

    def flush(self) -> None:
        self._cancellation.check()
        data = bytes(self._waiting)
        self._waiting.clear()
        for start in range(0, len(data), _PIECE):
            self._take(data[start : start + _PIECE])
