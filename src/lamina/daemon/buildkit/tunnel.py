"""Sessions inside a call: `Control/Session` carries the bytes of another HTTP/2 connection.

Rule: moby/buildkit, session/grpchijack. Clients without a door of their own for sessions open them this way.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from lamina.daemon.buildkit.http2 import Http2
from lamina.daemon.buildkit.messages.session import Piece
from lamina.daemon.buildkit.rpc import Call, Method
from lamina.daemon.buildkit.sessions import Session, Sessions
from lamina.errors import InvalidInput

_PREFIX = "x-docker-expose-session-"


class _Outlet:
    """Send what the inner connection writes as messages of the outer call, in order."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._closing = False

    def write(self, data: bytes) -> None:
        self._pieces.put_nowait(data)

    def close(self) -> None:
        self._closing = True
        self._pieces.put_nowait(None)

    def is_closing(self) -> bool:
        return self._closing

    async def send(self) -> None:
        """Send until the inner connection closes."""
        while (data := await self._pieces.get()) is not None:
            await self._call.send(Piece(data))


class Tunnels:
    """Serve sessions that come as calls."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def methods(self) -> dict[str, Method]:
        """Return the methods by their paths."""
        return {"/moby.buildkit.v1.Control/Session": self.session}

    async def session(self, call: Call) -> None:
        """Make the session known for as long as the call lasts. Raise InvalidInput without an ID."""
        ids = call.metadata(f"{_PREFIX}uuid")
        if not ids:
            raise InvalidInput("the session has no ID")
        keys, methods = call.metadata(f"{_PREFIX}sharedkey"), call.metadata(f"{_PREFIX}grpc-method")
        outlet = _Outlet(call)
        connection = Http2(outlet)
        session = Session(connection, ids[0], keys[0] if keys else "", methods)
        await self._sessions.add(session)
        sending = asyncio.ensure_future(outlet.send())
        try:
            while batch := await call.receive_batch():
                for raw in batch:
                    connection.feed(Piece.decode(raw).data)
        finally:
            self._sessions.remove(session)
            connection.close()
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
