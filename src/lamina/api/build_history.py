"""The record of a build as its users see it, and what can be made of it: its log, and a trace for Perfetto.

Rule of the trace: "Trace Event Format" of Chrome, complete events ("ph": "X") with times in microseconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lamina.api.build_steps import BuildStep
from lamina.errors import InvalidInput
from lamina.formats.document import encode_json

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class HistoryVertex(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """A step as it was shown. Times are nanoseconds since 1970, 0 for what did not happen. `log` may be cut."""

    name: str
    started: int = 0
    completed: int = 0
    cached: bool = False
    error: str = ""
    log: str = ""


class BuildRecord(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """A build. `options` are what its client asked for, `response` what it was told in the end.

    `error` is empty for a build that ended well, and `excerpt` has the lines of the Dockerfile that it is about. A
    `pinned` record stays until it is removed. `log` is what a classic client was shown; the vertices of BuildKit's
    clients and of live builds have logs of their own. `failure` is the error as BuildKit's clients read it. A
    `finalized` record has a trace for them.
    """

    ref: str
    frontend: str = ""
    options: dict[str, str] = {}
    started: int = 0
    completed: int = 0
    error: str = ""
    code: int = 0
    response: dict[str, str] = {}
    pinned: bool = False
    vertices: tuple[HistoryVertex, ...] = ()
    steps: tuple[BuildStep, ...] = ()
    log: str = ""
    excerpt: str = ""
    failure: bytes = b""
    finalized: bool = False

    @property
    def status(self) -> str:
        """Return how the build ended: completed, canceled or error."""
        return "completed" if not self.error else "canceled" if self.code == 1 else "error"

    @property
    def name(self) -> str:
        """Return what people know the build by: its tag, else its folder or address, else its ref."""
        return self.options.get("t") or self.options.get("context") or self.options.get("remote") or self.ref

    def encode(self) -> bytes:
        """Return the record as JSON, which `decode` reads."""
        return encode_json(self)

    @classmethod
    def decode(cls, raw: bytes) -> BuildRecord:
        """Return the record in JSON. Raise InvalidInput for what is none."""
        try:
            record = msgspec.json.decode(raw, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"this is no record of a build: {error}") from error
        check_ref(record.ref)
        return record

    def to_json(self) -> dict[str, Any]:
        """Return the record as members of a JSON object."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> BuildRecord:
        """Return the record in a document of the API. Raise msgspec.ValidationError for another one."""
        return msgspec.convert(document, cls)

    def logs(self) -> str:
        """Return all that was told, step by step."""
        parts = [self.log]
        for number, vertex in enumerate(self.vertices, 1):
            parts.append(f"#{number} {vertex.name}\n" if not self.log else "")
            parts.append(vertex.log if vertex.log.endswith("\n") or not vertex.log else f"{vertex.log}\n")
            if vertex.error:
                parts.append(f"#{number} ERROR: {vertex.error}\n")
        return "".join(parts)

    def trace(self) -> str:
        """Return the build as a trace that Perfetto and chrome://tracing open: a row for steps at the same time."""
        rows: list[int] = []  # when each row is free again
        events: list[dict[str, Any]] = []
        for vertex in sorted(self.vertices, key=lambda each: each.started):
            if not vertex.started:
                continue
            end = max(vertex.completed, vertex.started)
            row = next((number for number, free in enumerate(rows) if free <= vertex.started), len(rows))
            rows[row : row + 1] = [end]
            events.append(
                {
                    "name": vertex.name,
                    "cat": "cached" if vertex.cached else "failed" if vertex.error else "run",
                    "ph": "X",
                    "ts": vertex.started / 1000,
                    "dur": (end - vertex.started) / 1000,
                    "pid": 1,
                    "tid": row + 1,
                }
            )
        label = {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": f"build {self.name}"}}
        return json.dumps({"traceEvents": [label, *events], "displayTimeUnit": "ms"})


def check_ref(ref: str) -> str:
    """Return the ref of a build, which names a file. Raise InvalidInput for what could lead elsewhere."""
    if not _REF.fullmatch(ref):
        raise InvalidInput(f"invalid build reference {ref[:80]!r}", advice="Use letters, digits, '_', '.' and '-'.")
    return ref
