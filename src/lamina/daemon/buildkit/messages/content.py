"""What is said to stores of content, on either side.

Field numbers: containerd, api/services/content/v1/content.proto.
"""

from __future__ import annotations

from typing import Annotated

from lamina.daemon.buildkit.protobuf import Message

WRITE, COMMIT = 1, 2  # actions of a WriteRequest


class InfoRequest(Message, frozen=True):
    """Ask what is known of content."""

    digest: Annotated[str, 1] = ""


class Info(Message, frozen=True):
    """What is known of content."""

    digest: Annotated[str, 1] = ""
    size: Annotated[int, 2] = 0


class InfoResponse(Message, frozen=True):
    """The answer to an InfoRequest."""

    info: Annotated[Info | None, 1] = None


class ReadRequest(Message, frozen=True):
    """Ask for content from an offset on."""

    digest: Annotated[str, 1] = ""
    offset: Annotated[int, 2] = 0
    size: Annotated[int, 3] = 0  # bytes, 0 for all


class ReadResponse(Message, frozen=True):
    """A piece of content."""

    offset: Annotated[int, 1] = 0
    data: Annotated[bytes, 2] = b""


class WriteRequest(Message, frozen=True):
    """A piece of new content. `ref` names the write, which COMMIT ends."""

    action: Annotated[int, 1] = 0
    ref: Annotated[str, 2] = ""
    total: Annotated[int, 3] = 0
    expected: Annotated[str, 4] = ""
    offset: Annotated[int, 5] = 0
    data: Annotated[bytes, 6] = b""


class WriteResponse(Message, frozen=True):
    """How far a write is."""

    action: Annotated[int, 1] = 0
    offset: Annotated[int, 4] = 0
