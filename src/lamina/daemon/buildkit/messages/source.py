"""Places in a Dockerfile, for warnings and errors.

Field numbers: moby/buildkit, `solver/pb/ops.proto` and `solver/errdefs/errdefs.proto`; google.rpc.Status.
"""

from __future__ import annotations

from typing import Annotated

from lamina.daemon.buildkit.protobuf import Message


class Position(Message, frozen=True):
    """A line, counted from 1."""

    line: Annotated[int, 1] = 0


class LineRange(Message, frozen=True):
    """Lines from the first to the last."""

    start: Annotated[Position | None, 1] = None
    end: Annotated[Position | None, 2] = None


class SourceInfo(Message, frozen=True):
    """A file with its text. `definition` is the encoded graph that the file comes from."""

    filename: Annotated[str, 1] = ""
    data: Annotated[bytes, 2] = b""
    definition: Annotated[bytes, 3] = b""
    language: Annotated[str, 4] = ""


class Detail(Message, frozen=True):
    """A fact about an error: the address of its type, and the value, which BuildKit writes as JSON."""

    type: Annotated[str, 1] = ""
    value: Annotated[bytes, 2] = b""


def ranges_of(first: int, last: int) -> tuple[LineRange, ...]:
    """Return lines as BuildKit writes them: a range for each."""
    return tuple(LineRange(Position(line), Position(line)) for line in range(first, last + 1))
