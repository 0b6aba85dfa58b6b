"""Progress of a build as BuildKit's clients draw it: vertices, their states and their output.

Field numbers: moby/buildkit, `api/services/control/control.proto`.
"""

from __future__ import annotations

import time
from typing import Annotated

from lamina.daemon.buildkit.messages.source import LineRange, SourceInfo
from lamina.daemon.buildkit.protobuf import Message


class Timestamp(Message, frozen=True):
    """A moment: whole seconds since the epoch, and nanoseconds."""

    seconds: Annotated[int, 1] = 0
    nanos: Annotated[int, 2] = 0

    @classmethod
    def now(cls) -> Timestamp:
        """Return the present moment."""
        return cls.of(time.time_ns())

    @classmethod
    def of(cls, time_ns: int) -> Timestamp:
        """Return a moment in nanoseconds since the epoch."""
        return cls(*divmod(time_ns, 10**9))


class ProgressGroup(Message, frozen=True):
    """Vertices that are shown as one."""

    id: Annotated[str, 1] = ""
    name: Annotated[str, 2] = ""
    weak: Annotated[bool, 3] = False


class Vertex(Message, frozen=True):
    """One step. Without `started` it waits; with `completed` it has ended, well unless there is an `error`."""

    digest: Annotated[str, 1] = ""
    inputs: Annotated[tuple[str, ...], 2] = ()
    name: Annotated[str, 3] = ""
    cached: Annotated[bool, 4] = False
    started: Annotated[Timestamp | None, 5] = None
    completed: Annotated[Timestamp | None, 6] = None
    error: Annotated[str, 7] = ""
    group: Annotated[ProgressGroup | None, 8] = None


class VertexStatus(Message, frozen=True):
    """A part of a step, such as a layer that is pulled. `current` and `total` are in bytes."""

    id: Annotated[str, 1] = ""
    vertex: Annotated[str, 2] = ""
    name: Annotated[str, 3] = ""
    current: Annotated[int, 4] = 0
    total: Annotated[int, 5] = 0
    timestamp: Annotated[Timestamp | None, 6] = None
    started: Annotated[Timestamp | None, 7] = None
    completed: Annotated[Timestamp | None, 8] = None


class VertexLog(Message, frozen=True):
    """Output of a step: `stream` is 1 for standard output and 2 for standard error."""

    vertex: Annotated[str, 1] = ""
    timestamp: Annotated[Timestamp | None, 2] = None
    stream: Annotated[int, 3] = 1
    message: Annotated[bytes, 4] = b""


class VertexWarning(Message, frozen=True):
    """A hint that belongs to a step, without stopping it."""

    vertex: Annotated[str, 1] = ""
    level: Annotated[int, 2] = 0
    short: Annotated[bytes, 3] = b""
    detail: Annotated[tuple[bytes, ...], 4] = ()
    url: Annotated[str, 5] = ""
    info: Annotated[SourceInfo | None, 6] = None
    ranges: Annotated[tuple[LineRange, ...], 7] = ()


class StatusResponse(Message, frozen=True):
    """News of a build."""

    vertexes: Annotated[tuple[Vertex, ...], 1] = ()
    statuses: Annotated[tuple[VertexStatus, ...], 2] = ()
    logs: Annotated[tuple[VertexLog, ...], 3] = ()
    warnings: Annotated[tuple[VertexWarning, ...], 4] = ()
