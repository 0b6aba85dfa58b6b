"""Unpacking on this machine what a container sent: never outside the folder, whatever the archive says."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lamina.cli.copying import Placement, renamed
from lamina.errors import Corrupt

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ChunkReader(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def unpack(chunks: Iterator[bytes], source: str, placement: Placement, *, keep_owner: bool) -> None:
    """Unpack a tar whose entries begin with `source` as `placement` says. Files are ours unless `keep_owner`.

    Raises Corrupt for an archive that is damaged, or would write outside the folder.
    """
    folder = os.path.abspath(placement.folder)
    owner = (os.geteuid(), os.getegid())

    def admit(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        changes: dict[str, Any] = {} if keep_owner else {"uid": owner[0], "gid": owner[1], "uname": "", "gname": ""}
        changes["name"] = renamed(member.name, source, placement.name)
        if member.islnk():
            changes["linkname"] = renamed(member.linkname, source, placement.name)
        return tarfile.tar_filter(member.replace(**changes, deep=False), path)

    stream = io.BufferedReader(ChunkReader(chunks), 1 << 20)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            archive.extractall(folder, filter=admit)
    except (tarfile.TarError, EOFError) as error:
        raise Corrupt(f"cannot unpack what the container sent ({error})") from error
