"""An archive before it is written: bytes, and ranges of files that the kernel can send without our touching them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import Corrupt

CHUNK = 1 << 20  # bytes read at once where a range has to be copied


@dataclass(frozen=True, slots=True)
class FileRange:
    """`size` bytes of the file at `path`, from `offset` on. The file must stay as it is until that is sent."""

    path: Path
    offset: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces. Raises Corrupt where the file is shorter."""
        left = self.size
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            while left:
                chunk = file.read(min(left, CHUNK))
                if not chunk:
                    raise self.too_short(left)
                left -= len(chunk)
                yield chunk

    def too_short(self, missing: int) -> Corrupt:
        """The error for a file that ended before the range did."""
        return Corrupt(f"{self.path.name!r} is {missing} bytes shorter than it should be", path=str(self.path))


Piece = bytes | FileRange


class Pieces:
    """Collects what is written to it, and ranges between; bytes that follow each other become one piece."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._bytes: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Let `data` come next; gives its length."""
        if data:
            self._bytes.append(data)
        return len(data)

    def put(self, part: FileRange) -> None:
        """Let `part` come next."""
        self._settle()
        self._pieces.append(part)

    def done(self) -> tuple[Piece, ...]:
        """All of it, in order."""
        self._settle()
        return tuple(self._pieces)

    def _settle(self) -> None:
        if self._bytes:
            self._pieces.append(b"".join(self._bytes))
            self._bytes.clear()


def size_of(pieces: Iterable[Piece]) -> int:
    """Bytes of all pieces together."""
    return sum(piece.size if isinstance(piece, FileRange) else len(piece) for piece in pieces)


def copy_to(pieces: Iterable[Piece], write: Callable[[bytes], object]) -> None:
    """Give all bytes to `write`, in turn. Raises what it raises, Corrupt for a file that has become shorter."""
    for piece in pieces:
        for chunk in piece.chunks() if isinstance(piece, FileRange) else (piece,):
            write(chunk)
