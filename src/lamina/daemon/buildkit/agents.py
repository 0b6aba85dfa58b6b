"""The client's ssh agents: sockets for RUN steps whose connections go through the session.

Rule: moby/buildkit, session/sshforward.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from lamina.daemon.buildkit.frontend import Client
from lamina.daemon.buildkit.messages.session import AgentRequest, Empty, Piece
from lamina.daemon.buildkit.rpc import Outgoing
from lamina.errors import LaminaError

_CHECK = "/moby.sshforward.v1.SSH/CheckAgent"
_FORWARD = "/moby.sshforward.v1.SSH/ForwardAgent"
_PIECE = 32 << 10  # bytes in one message
_MOST_CONNECTIONS = 64  # of one step to its agent


class ForwardedAgents:
    """The agents that one build's client forwards."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def offers(self, id: str) -> bool:
        """Return whether the client forwards an agent of this ID."""
        client = self._client
        if not client.offers(_CHECK):
            return False
        try:
            client.session.ask(_CHECK, AgentRequest(id), Empty, client.cancellation)
        except LaminaError:  # Cancelled shows at the next step, everything else means that there is none
            return False
        return True

    def serve(self, id: str, listener: socket.socket) -> Callable[[], None]:
        """Forward connections to an agent until the returned function is called."""
        session = self._client.session
        forwarding = _Forwarding(id, session.caller.open)
        server = session.wait(
            lambda: asyncio.start_unix_server(forwarding.forward, sock=listener), self._client.cancellation
        )

        def stop() -> None:
            with suppress(RuntimeError):  # the loop has ended, and its sockets with it
                session.loop.call_soon_threadsafe(forwarding.stop, server)

        return stop


class _Forwarding:
    """The connections of one step to one agent. It belongs to the event loop."""

    def __init__(self, id: str, open_call: Callable[..., Outgoing]) -> None:
        self._id = id
        self._open_call = open_call
        self._writers: set[asyncio.StreamWriter] = set()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes both ways until one side ends."""
        if len(self._writers) >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._writers.add(writer)
        call: Outgoing | None = None
        try:
            call = self._open_call(_FORWARD, [("buildkit.ssh.id", self._id)])
            sending = asyncio.ensure_future(self._send(reader, call))
            try:
                while batch := await call.receive_batch():
                    writer.write(b"".join(Piece.decode(raw).data for raw in batch))
                    await writer.drain()
            finally:
                sending.cancel()
        except (LaminaError, OSError):  # the step's ssh sees that its agent is gone
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            if call is not None:
                call.cancel()

    async def _send(self, reader: asyncio.StreamReader, call: Outgoing) -> None:
        with suppress(LaminaError, OSError):  # `forward` sees the end too
            while data := await reader.read(_PIECE):
                await call.send(Piece(data))
            call.finish()

    def stop(self, server: asyncio.Server) -> None:
        """Close the listener and every connection."""
        server.close()
        for writer in self._writers:
            writer.transport.abort()
