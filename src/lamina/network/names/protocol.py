"""What engine, keeper and server tell each other: JSON messages on SOCK_SEQPACKET sockets, some with descriptors.

The engine asks, and the keeper answers each request when it has passed it on to the server:

- `begin`: what the keeper knows counts as outdated; the answer is its version;
- `has`: whether the keeper serves a sandbox, which is not outdated then;
- `serve` (a `Sandbox`, its two sockets, and its network namespace where servers are asked from there) and `unserve`;
- `put` (a `Place`, which is not outdated then) and `drop`;
- `settle`: what is still outdated is dropped;
- `end`: the keeper ends.

The server asks the keeper for `socket`s inside a sandbox's network namespace. The keeper answers some time with the
descriptor, or without one where it could not make it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lamina.network.names.table import Place

LONGEST_MESSAGE = 192 << 10  # bytes; the kernel takes a little more in one piece
MOST_NAMES = 512  # of one place with its links, so that its message stays below that
LONGEST_NAME = 253  # characters; longer ones cannot be asked for
MOST_DESCRIPTORS = 4
PORT = 53

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Where a sandbox's other questions go.

    `inside` tells whether the servers are asked from the sandbox's own network namespace, as those that a user names,
    or from the host's. With `ndots`, names without a dot are answered with nothing, as dockerd does where a user set
    that option, so that the client tries its search list.
    """

    servers: tuple[str, ...] = ()
    inside: bool = False
    ndots: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that is served."""

    id: str
    forwarding: Forwarding


def dump_place(place: Place) -> Message:
    """Return a place as `load_place` takes it."""
    return asdict(place)


def load_place(fields: Message) -> Place:
    """Return the place that `dump_place` wrote."""
    links = tuple((str(name), str(target)) for name, target in fields["links"])
    return Place(**{**fields, "names": tuple(fields["names"]), "links": links})


def load_sandbox(fields: Message) -> Sandbox:
    """Return the sandbox that `asdict` wrote."""
    forwarding: Message = fields["forwarding"]
    return Sandbox(fields["id"], Forwarding(**{**forwarding, "servers": tuple(forwarding["servers"])}))


def send(connection: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one message. Raise OSError."""
    socket.send_fds(connection, [json.dumps(message).encode()], list(descriptors))


def receive(connection: socket.socket) -> tuple[Message, list[int]] | None:
    """Return the next message with its descriptors; None at the end. Raise OSError, BlockingIOError."""
    raw, descriptors, _, _ = socket.recv_fds(connection, LONGEST_MESSAGE, MOST_DESCRIPTORS)
    return (json.loads(raw), descriptors) if raw else None
