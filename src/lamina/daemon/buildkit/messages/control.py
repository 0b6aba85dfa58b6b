"""What BuildKit's clients ask the daemon's control service: builds, their progress, workers, the cache, the history.

Field numbers: moby/buildkit, `api/services/control/control.proto`, `api/types/worker.proto` and `solver/pb/ops.proto`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from lamina.daemon.buildkit.messages.source import Detail
from lamina.daemon.buildkit.messages.status import Timestamp
from lamina.daemon.buildkit.protobuf import Message

_map: Any = msgspec.field(default_factory=dict)


class Definition(Message, frozen=True):
    """A build graph: `operations` are encoded Ops, of which the last one only names the result.

    `metadata` is by the digests of the operations; clients take a graph without any for none. `sources` says which
    lines of which files they are from.
    """

    operations: Annotated[tuple[bytes, ...], 1] = ()
    metadata: Annotated[dict[str, bytes], 2] = _map
    sources: Annotated[bytes, 3] = b""  # an encoded SourceMap


class Exporter(Message, frozen=True):
    """One output."""

    type: Annotated[str, 1] = ""
    attributes: Annotated[dict[str, str], 2] = _map


class CacheEntry(Message, frozen=True):
    """A place for the cache."""

    type: Annotated[str, 1] = ""
    attributes: Annotated[dict[str, str], 2] = _map


class CacheOptions(Message, frozen=True):
    """Where the cache is written, and where it is read when no frontend is told."""

    exports: Annotated[tuple[CacheEntry, ...], 4] = ()
    imports: Annotated[tuple[CacheEntry, ...], 5] = ()


class SolveRequest(Message, frozen=True):
    """A build. Without a frontend and a definition the client drives it over the gateway.

    An `internal` one is the client's own business and no part of the history.
    """

    ref: Annotated[str, 1] = ""
    definition: Annotated[Definition | None, 2] = None
    exporter: Annotated[str, 3] = ""
    exporter_attributes: Annotated[dict[str, str], 4] = _map
    session: Annotated[str, 5] = ""
    frontend: Annotated[str, 6] = ""
    attributes: Annotated[dict[str, str], 7] = _map
    cache: Annotated[CacheOptions | None, 8] = None
    entitlements: Annotated[tuple[str, ...], 9] = ()
    inputs: Annotated[dict[str, Definition], 10] = _map
    internal: Annotated[bool, 11] = False
    source_policy: Annotated[bytes, 12] = b""
    exporters: Annotated[tuple[Exporter, ...], 13] = ()


class SolveResponse(Message, frozen=True):
    """What the outputs tell of the result."""

    response: Annotated[dict[str, str], 1] = _map


class StatusRequest(Message, frozen=True):
    """Ask for the progress of a build."""

    ref: Annotated[str, 1] = ""


class Platform(Message, frozen=True):
    """A platform, in the order of the fields in BuildKit."""

    architecture: Annotated[str, 1] = ""
    os: Annotated[str, 2] = ""
    variant: Annotated[str, 3] = ""
    os_version: Annotated[str, 4] = ""
    os_features: Annotated[tuple[str, ...], 5] = ()


class Version(Message, frozen=True):
    """Who builds."""

    package: Annotated[str, 1] = ""
    version: Annotated[str, 2] = ""
    revision: Annotated[str, 3] = ""


class Worker(Message, frozen=True):
    """What can build: for a daemon that is itself."""

    id: Annotated[str, 1] = ""
    labels: Annotated[dict[str, str], 2] = _map
    platforms: Annotated[tuple[Platform, ...], 3] = ()
    version: Annotated[Version | None, 5] = None


class ListWorkersRequest(Message, frozen=True):
    """Ask for the workers."""

    filter: Annotated[tuple[str, ...], 1] = ()


class ListWorkersResponse(Message, frozen=True):
    """The workers."""

    records: Annotated[tuple[Worker, ...], 1] = ()


class InfoResponse(Message, frozen=True):
    """The daemon's version."""

    version: Annotated[Version | None, 1] = None


class UsageRecord(Message, frozen=True):
    """A part of the cache. `size` is in bytes."""

    id: Annotated[str, 1] = ""
    mutable: Annotated[bool, 2] = False
    in_use: Annotated[bool, 3] = False
    size: Annotated[int, 4] = 0
    created: Annotated[Timestamp | None, 6] = None
    used: Annotated[Timestamp | None, 7] = None
    count: Annotated[int, 8] = 0
    description: Annotated[str, 9] = ""
    type: Annotated[str, 10] = ""
    shared: Annotated[bool, 11] = False


class DiskUsageResponse(Message, frozen=True):
    """The cache."""

    records: Annotated[tuple[UsageRecord, ...], 1] = ()


class PruneRequest(Message, frozen=True):
    """Ask to remove what the cache can spare."""

    filter: Annotated[tuple[str, ...], 1] = ()
    all: Annotated[bool, 2] = False
    keep_duration: Annotated[int, 3] = 0  # nanoseconds
    reserved_space: Annotated[int, 4] = 0  # bytes, as the next two
    max_used_space: Annotated[int, 5] = 0
    min_free_space: Annotated[int, 6] = 0


class DiskUsageRequest(Message, frozen=True):
    """Ask what the cache holds."""

    filter: Annotated[tuple[str, ...], 1] = ()


class HistoryRequest(Message, frozen=True):
    """Ask for builds; with `early_exit` only for those that there are."""

    active_only: Annotated[bool, 1] = False
    ref: Annotated[str, 2] = ""
    early_exit: Annotated[bool, 3] = False


class Status(Message, frozen=True):
    """An error: a code of gRPC, a message, and facts about it."""

    code: Annotated[int, 1] = 0
    message: Annotated[str, 2] = ""
    details: Annotated[tuple[Detail, ...], 3] = ()


class Descriptor(Message, frozen=True):
    """Content that belongs to a build."""

    media_type: Annotated[str, 1] = ""
    digest: Annotated[str, 2] = ""
    size: Annotated[int, 3] = 0


class HistoryRecord(Message, frozen=True):
    """One build."""

    ref: Annotated[str, 1] = ""
    frontend: Annotated[str, 2] = ""
    attributes: Annotated[dict[str, str], 3] = _map
    exporters: Annotated[tuple[Exporter, ...], 4] = ()
    error: Annotated[Status | None, 5] = None
    created: Annotated[Timestamp | None, 6] = None
    completed: Annotated[Timestamp | None, 7] = None
    response: Annotated[dict[str, str], 9] = _map
    trace: Annotated[Descriptor | None, 13] = None
    pinned: Annotated[bool, 14] = False
    cached_steps: Annotated[int, 15] = 0
    total_steps: Annotated[int, 16] = 0
    completed_steps: Annotated[int, 17] = 0
    failure: Annotated[Descriptor | None, 18] = None  # a whole Status


class HistoryEvent(Message, frozen=True):
    """A build that began (0) or ended (1), or was forgotten (2)."""

    type: Annotated[int, 1] = 0
    record: Annotated[HistoryRecord | None, 2] = None


class HistoryUpdate(Message, frozen=True):
    """Change what is remembered of a build."""

    ref: Annotated[str, 1] = ""
    pinned: Annotated[bool, 2] = False
    delete: Annotated[bool, 3] = False
    finalize: Annotated[bool, 4] = False
