"""The proxy's process: it carries connections of strangers, so it has no privileges and a limit on everything.

Requests are JSON messages on a SOCK_SEQPACKET socket: `serve` comes with a bound socket, a number for it and its
target, `stop` with the number. Only `stop` is answered, once the socket is closed. The process ends when the other end
of the control socket closes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import traceback
from typing import Any

from lamina.linux.processes import give_up_privileges, name_process, raise_limit
from lamina.network.crowds import Complaints
from lamina.network.proxy.datagrams import Conversations, DatagramPort
from lamina.network.proxy.limits import Limits
from lamina.network.proxy.streams import Connections, StreamPort

_MESSAGE = 4096  # bytes of a request
_SWEEP = 1.0  # seconds between two looks for what has been silent too long


def main(descriptor: int, limits: str) -> None:
    """Serve the control socket `descriptor` until its other end closes."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    name_process("lamina-proxy")
    available = raise_limit()
    loop = asyncio.new_event_loop()
    give_up_privileges()
    with socket.socket(fileno=descriptor) as control:
        control.setblocking(False)
        _Server(loop, control, Limits.decode(limits).within(available))
        loop.run_forever()


class _Server:
    def __init__(self, loop: asyncio.AbstractEventLoop, control: socket.socket, limits: Limits) -> None:
        self._loop = loop
        self._control = control
        self._complaints = Complaints(logging.getLogger("lamina.network.proxy"), limits.quiet)
        self._conversations = Conversations(loop, limits, self._complaints)
        self._connections = Connections(loop, limits, self._complaints)
        self._ports: dict[int, StreamPort | DatagramPort] = {}
        loop.set_exception_handler(self._failed)
        loop.add_reader(control, self._request)
        self._sweep()

    def _request(self) -> None:
        raw, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE, 1)
        if not raw:
            self._loop.stop()
            return
        request = json.loads(raw)
        number = request["port"]
        if request["op"] == "serve":
            self._ports[number] = self._serve(socket.socket(fileno=descriptors[0]), tuple(request["target"]))
        else:
            self._ports.pop(number).close()
            self._control.send(b"done")

    def _serve(self, listening: socket.socket, target: tuple[str, int]) -> StreamPort | DatagramPort:
        listening.setblocking(False)
        stream = listening.type == socket.SOCK_STREAM
        return (self._connections if stream else self._conversations).serve(listening, target)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log a bug with the place it was met at, but not for each of the connections that meet it."""
        error = context.get("exception")
        frames = traceback.extract_tb(error.__traceback__) if isinstance(error, BaseException) else []
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        self._complaints.add(f"the proxy failed{place}: {type(error).__name__}", loop.time())

    def _sweep(self) -> None:
        now = self._loop.time()
        for swept in (self._conversations, self._connections, self._complaints):
            swept.sweep(now)
        self._loop.call_later(_SWEEP, self._sweep)
