"""Sending a part of a file without copying it through the process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

_PIECE = 1 << 20


class FileAnswer(web.StreamResponse):
    """`count` bytes of a file from byte `first` on, by sendfile where the connection is not encrypted."""

    def __init__(self, path: Path, first: int, count: int, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status=status, headers=headers)
        self.content_length = count
        self._file_path = path
        self._first = first
        self._count = count

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        with self._file_path.open("rb") as file:
            writer = await super().prepare(request)
            transport = request.transport
            if writer is None or transport is None:
                raise ConnectionResetError("the client went away")
            if transport.get_extra_info("sslcontext") is None:
                writer.send_headers()
                await asyncio.get_running_loop().sendfile(transport, file, self._first, self._count)
            else:
                file.seek(self._first)
                left = self._count
                while left and (piece := await asyncio.to_thread(file.read, min(left, _PIECE))):
                    left -= len(piece)
                    await writer.write(piece)
            await super().write_eof()
            return writer
