"""What a client that drives a build itself asks of it, over the gateway.

Field numbers: moby/buildkit, `frontend/gateway/pb/gateway.proto` and `util/apicaps/pb/caps.proto`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from lamina.daemon.buildkit.messages.control import CacheEntry, Definition, Platform, Status, Worker
from lamina.daemon.buildkit.messages.ops import SourceOp
from lamina.daemon.buildkit.messages.session import Stat
from lamina.daemon.buildkit.messages.source import LineRange, SourceInfo
from lamina.daemon.buildkit.protobuf import Message

_map: Any = msgspec.field(default_factory=dict)


class Capability(Message, frozen=True):
    """Something that the daemon can do."""

    id: Annotated[str, 1] = ""
    enabled: Annotated[bool, 2] = False


class Pong(Message, frozen=True):
    """What the daemon can do, and who does it."""

    frontend: Annotated[tuple[Capability, ...], 1] = ()
    graph: Annotated[tuple[Capability, ...], 2] = ()
    workers: Annotated[tuple[Worker, ...], 3] = ()


class Ref(Message, frozen=True):
    """A result by its ID, and the graph by which it can be used as an input."""

    id: Annotated[str, 1] = ""
    definition: Annotated[Definition | None, 2] = None


class RefMap(Message, frozen=True):
    """Results by platform."""

    refs: Annotated[dict[str, Ref], 1] = _map


class Result(Message, frozen=True):
    """One result, or several; `plain` is how older clients name one."""

    plain: Annotated[str, 1] = ""
    ref: Annotated[Ref | None, 3] = None
    refs: Annotated[RefMap | None, 4] = None
    metadata: Annotated[dict[str, bytes], 10] = _map


class SolveRequest(Message, frozen=True):
    """A part of a build."""

    definition: Annotated[Definition | None, 1] = None
    frontend: Annotated[str, 2] = ""
    attributes: Annotated[dict[str, str], 3] = _map
    cache_imports: Annotated[tuple[CacheEntry, ...], 12] = ()
    inputs: Annotated[dict[str, Definition], 13] = _map
    evaluate: Annotated[bool, 14] = False
    source_policies: Annotated[tuple[bytes, ...], 15] = ()


class SolveResponse(Message, frozen=True):
    """The result of a part."""

    ref: Annotated[str, 1] = ""
    result: Annotated[Result | None, 3] = None


class ReturnRequest(Message, frozen=True):
    """End a build, with what it is to give out or with an error."""

    result: Annotated[Result | None, 1] = None
    error: Annotated[Status | None, 2] = None


class InputsResponse(Message, frozen=True):
    """The graphs that the client brought."""

    definitions: Annotated[dict[str, Definition], 1] = _map


class ResolveRequest(Message, frozen=True):
    """Ask for the config of an image."""

    ref: Annotated[str, 1] = ""
    platform: Annotated[Platform | None, 2] = None
    mode: Annotated[str, 3] = ""
    kind: Annotated[int, 5] = 0  # of the place where the image is: a registry (0), or a layout of the client's (1)
    session: Annotated[str, 6] = ""
    store: Annotated[str, 7] = ""


class ResolveResponse(Message, frozen=True):
    """The config of an image."""

    digest: Annotated[str, 1] = ""
    config: Annotated[bytes, 2] = b""
    ref: Annotated[str, 3] = ""


class SourceMetaRequest(Message, frozen=True):
    """Ask what stands behind a source."""

    source: Annotated[SourceOp | None, 1] = None
    platform: Annotated[Platform | None, 2] = None
    mode: Annotated[str, 4] = ""


class ImageMeta(Message, frozen=True):
    """The digest and the config of an image."""

    digest: Annotated[str, 1] = ""
    config: Annotated[bytes, 2] = b""


class SourceMetaResponse(Message, frozen=True):
    """What stands behind a source."""

    source: Annotated[SourceOp | None, 1] = None
    image: Annotated[ImageMeta | None, 2] = None


class Range(Message, frozen=True):
    """A part of a file, in bytes."""

    offset: Annotated[int, 1] = 0
    length: Annotated[int, 2] = 0


class ReadFileRequest(Message, frozen=True):
    """Ask for a file of a result."""

    ref: Annotated[str, 1] = ""
    path: Annotated[str, 2] = ""
    range: Annotated[Range | None, 3] = None


class ReadFileResponse(Message, frozen=True):
    """The bytes of a file."""

    data: Annotated[bytes, 1] = b""


class ReadDirRequest(Message, frozen=True):
    """Ask for the files in a folder of a result."""

    ref: Annotated[str, 1] = ""
    path: Annotated[str, 2] = ""
    pattern: Annotated[str, 3] = ""


class ReadDirResponse(Message, frozen=True):
    """The files in a folder."""

    entries: Annotated[tuple[Stat, ...], 1] = ()


class StatFileRequest(Message, frozen=True):
    """Ask what a file of a result is."""

    ref: Annotated[str, 1] = ""
    path: Annotated[str, 2] = ""


class StatFileResponse(Message, frozen=True):
    """What a file is."""

    stat: Annotated[Stat | None, 1] = None


class WarnRequest(Message, frozen=True):
    """A warning about a build."""

    digest: Annotated[str, 1] = ""
    level: Annotated[int, 2] = 0
    short: Annotated[bytes, 3] = b""
    detail: Annotated[tuple[bytes, ...], 4] = ()
    url: Annotated[str, 5] = ""
    info: Annotated[SourceInfo | None, 6] = None
    ranges: Annotated[tuple[LineRange, ...], 7] = ()
