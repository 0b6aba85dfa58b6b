"""Sockets inside of network namespaces, which the server asks the keeper for because it may not enter them.

Whoever took the server over may have written the request, so each is checked: the server gets sockets that are
connected to servers the engine named for that sandbox, and nothing else.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from lamina.network.names.forwarding import open_socket
from lamina.network.names.protocol import receive, send
from lamina.network.names.state import State
from lamina.network.namespaces import inside


class Untrustworthy(Exception):
    """The server hangs, is gone, or no longer speaks the protocol."""


def answer_request(state: State, server: socket.socket) -> None:
    """Take one request of the server, and answer it with a socket, or without. Raise Untrustworthy."""
    try:
        received = receive(server)
        if received is None:
            raise Untrustworthy("it closed the connection")
        request, descriptors = received
        for descriptor in descriptors:  # none is expected, and none may fill up the keeper
            os.close(descriptor)
        number, address = request["number"], request["server"]
        if not isinstance(number, int) or not isinstance(address, str):
            raise Untrustworthy("its request is malformed")
        answer = {"op": "socket", "number": number}
        connection = _open(state, request["sandbox"], address, request["stream"] is True)
        if connection is None:
            send(server, answer)
            return
        with connection:
            send(server, answer, [connection.fileno()])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise Untrustworthy(str(error)) from error


def _open(state: State, sandbox: str, address: str, stream: bool) -> socket.socket | None:
    """Return a socket to `address` from inside of a sandbox; None where it has no such server, or cannot reach it."""
    served = state.served.get(sandbox)  # it may just have gone
    if served is None or served.namespace < 0 or address not in served.sandbox.forwarding.servers:
        return None
    # An address that cannot be reached from there is the server's to deal with: it asks the next one.
    with suppress(OSError), inside(Path(f"/proc/self/fd/{served.namespace}")):
        return open_socket(address, stream)
    return None
