"""What the records of builds hold apart: how a build failed, and its trace, which clients read by digest.

Rule: moby/buildkit, solver/llbsolver/history.go, and containerd, services/content/contentserver. A trace is there once
a client has finalized the record.
"""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from collections.abc import Callable, Iterable

import msgspec

from lamina import __version__
from lamina.api.build_history import BuildRecord, HistoryVertex
from lamina.daemon.buildkit.messages.content import Info, InfoRequest, InfoResponse, ReadRequest, ReadResponse
from lamina.daemon.buildkit.messages.control import Descriptor
from lamina.daemon.buildkit.messages.source import Detail
from lamina.daemon.buildkit.rpc import Call, Method, unary
from lamina.daemon.http.call import in_thread
from lamina.errors import InvalidInput, NotFound
from lamina.formats.digest import Digest
from lamina.formats.times import format_time

_SERVICE = "/containerd.services.content.v1.Content/"
_FAILURE = "application/vnd.googeapis.google.rpc.status+proto"  # as BuildKit spells it
_TRACE = "application/vnd.buildkit.otlp.json.v0"
_STACK = "github.com/moby/buildkit/stack.Stack+json"
_MOST_FRAMES = 50
_PIECE = 1 << 20
_INTERNAL = 1  # kind of a span


def failure_descriptor(record: BuildRecord) -> Descriptor | None:
    """Return the descriptor of how a build failed, None for one that ended well."""
    return _descriptor(_FAILURE, record.failure) if record.failure else None


def trace_descriptor(record: BuildRecord) -> Descriptor | None:
    """Return the descriptor of a build's trace, None before somebody has asked for it."""
    return _descriptor(_TRACE, trace_of(record)) if record.finalized else None


def _descriptor(media_type: str, raw: bytes) -> Descriptor:
    return Descriptor(media_type, str(Digest.of(raw)), len(raw))


def stack_of(error: BaseException) -> tuple[Detail, ...]:
    """Return where an error came from, as BuildKit's clients show it with --debug: the innermost call first."""
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    calls = [{"Name": frame.name, "File": frame.filename, "Line": frame.lineno or 0} for frame in reversed(frames)]
    process = {"cmdline": ["lamina", "daemon"], "pid": os.getpid(), "version": __version__}
    return (Detail(_STACK, msgspec.json.encode({"frames": calls, **process})),) if calls else ()


def trace_of(record: BuildRecord) -> bytes:
    """Return a build as spans of OpenTelemetry, as its Go exporters write them: the build, and each step below it."""
    trace = hashlib.sha256(record.ref.encode()).hexdigest()[:32]
    root = _span_id(record, 0)
    whole = HistoryVertex(f"build {record.name}", record.started, record.completed, error=record.error)
    spans = [_span(trace, root, "", whole)]
    for number, vertex in enumerate(record.vertices, 1):
        if vertex.started:
            spans.append(_span(trace, _span_id(record, number), root, vertex))
    return "".join(json.dumps(span) + "\n" for span in spans).encode()


def _span_id(record: BuildRecord, number: int) -> str:
    return hashlib.sha256(f"{record.ref}/{number}".encode()).hexdigest()[:16]


def _span(trace: str, id: str, parent: str, vertex: HistoryVertex) -> dict[str, object]:
    ended = max(vertex.completed, vertex.started)
    return {
        "Name": vertex.name,
        "SpanContext": _context(trace, id),
        "Parent": _context(trace if parent else "0" * 32, parent or "0" * 16),
        "SpanKind": _INTERNAL,
        "StartTime": format_time(vertex.started),
        "EndTime": format_time(ended),
        "Attributes": [{"Key": "cached", "Value": {"Type": "BOOL", "Value": vertex.cached}}],
        "Events": None,
        "Links": None,
        "Status": {"Code": "Error" if vertex.error else "Unset", "Description": vertex.error},
        "DroppedAttributes": 0,
        "DroppedEvents": 0,
        "DroppedLinks": 0,
        "ChildSpanCount": 0,
        "Resource": [{"Key": "service.name", "Value": {"Type": "STRING", "Value": "lamina"}}],
        "InstrumentationLibrary": {"Name": "lamina", "Version": "", "SchemaURL": ""},
    }


def _context(trace: str, id: str) -> dict[str, object]:
    return {"TraceID": trace, "SpanID": id, "TraceFlags": "01", "TraceState": "", "Remote": False}


class HistoryContent:
    """Answer the content service, read only. `records` returns all records."""

    def __init__(self, records: Callable[[], Iterable[BuildRecord]]) -> None:
        self._records = records

    def methods(self) -> dict[str, Method]:
        """Return the methods by their paths."""
        return {_SERVICE + "Info": unary(InfoRequest, self.info), _SERVICE + "Read": self.read}

    async def info(self, request: InfoRequest, call: Call) -> InfoResponse:
        """Return the size of what has a digest. Raise NotFound."""
        raw = await in_thread(lambda: self._find(request.digest))
        return InfoResponse(Info(request.digest, len(raw)))

    async def read(self, call: Call) -> None:
        """Send what has a digest, or a part of it. Raise NotFound, InvalidInput for a part that is not there."""
        request = await call.receive(ReadRequest) or ReadRequest()
        raw = await in_thread(lambda: self._find(request.digest))
        end = request.offset + request.size if request.size else len(raw)
        if not 0 <= request.offset <= end <= len(raw):
            raise InvalidInput(f"{request.digest} has {len(raw)} bytes", advice="Ask for a part of these.")
        for start in range(request.offset, end, _PIECE):
            await call.send(ReadResponse(start, raw[start : min(start + _PIECE, end)]))

    def _find(self, digest: str) -> bytes:
        for record in self._records():
            blobs = (record.failure, trace_of(record) if record.finalized else b"")
            for raw in filter(None, blobs):
                if str(Digest.of(raw)) == digest:
                    return raw
        raise NotFound(f"content {digest}: not found")
