"""What a daemon says to a client over its session: files, credentials, secrets, agents.

Field numbers: moby/buildkit, `session/*/*.proto`, and tonistiigi/fsutil, `types/*.proto`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from lamina.daemon.buildkit.protobuf import Message

PACKET_STAT, PACKET_REQUEST, PACKET_DATA, PACKET_END, PACKET_ERROR = range(5)


class Stat(Message, frozen=True):
    """A file. `mode` has Go's bits (os.FileMode), `mtime_ns` is in nanoseconds, `target` is a link's text."""

    path: Annotated[str, 1] = ""
    mode: Annotated[int, 2] = 0
    uid: Annotated[int, 3] = 0
    gid: Annotated[int, 4] = 0
    size: Annotated[int, 5] = 0
    mtime_ns: Annotated[int, 6] = 0
    target: Annotated[str, 7] = ""
    major: Annotated[int, 8] = 0
    minor: Annotated[int, 9] = 0
    xattrs: Annotated[dict[str, bytes], 10] = msgspec.field(default_factory=dict)


class Packet(Message, frozen=True):
    """One step of a transfer of files. `type` is one of the PACKET numbers, `id` is a file's place in the listing."""

    type: Annotated[int, 1] = PACKET_STAT
    stat: Annotated[Stat | None, 2] = None
    id: Annotated[int, 3] = 0
    data: Annotated[bytes, 4] = b""


class Piece(Message, frozen=True):
    """A piece of a byte stream (BytesMessage)."""

    data: Annotated[bytes, 1] = b""


class CredentialsRequest(Message, frozen=True):
    """Ask who the user is at a registry."""

    host: Annotated[str, 1] = ""


class CredentialsResponse(Message, frozen=True):
    """A name and password; without a name `secret` is an identity token."""

    username: Annotated[str, 1] = ""
    secret: Annotated[str, 2] = ""


class SecretRequest(Message, frozen=True):
    """Ask for a secret by its ID."""

    id: Annotated[str, 1] = ""


class SecretResponse(Message, frozen=True):
    """The bytes of a secret."""

    data: Annotated[bytes, 1] = b""


class AgentRequest(Message, frozen=True):
    """Ask whether the client forwards the ssh agent of this ID."""

    id: Annotated[str, 1] = ""


class Empty(Message, frozen=True):
    """A message without fields."""
