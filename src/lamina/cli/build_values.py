"""A live build as JSON lines for programs, in the form of `docker buildx build --progress=rawjson`.

Rule: moby/buildkit, client/graph.go, SolveStatus, and Go's encoding/json: bytes are base64, times RFC 3339.
"""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64encode

from lamina.cli.build_step_names import StepNames, step_key
from lamina.formats.times import format_time
from lamina.light import TYPE_CHECKING
from lamina.progress import Aux

if TYPE_CHECKING:
    from typing import Any, TextIO

    from lamina.progress import Message

_SECOND = 10**9


class BuildValues:
    """Write what becomes of each step to a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._names = StepNames()
        self._started: dict[str, dict[str, Any]] = {}
        self._previous: dict[str, str] = {}  # the digest of a stage's step before

    def hear(self, message: Message) -> None:
        """Take a message of a live build."""
        for kind, news in message.value.items() if isinstance(message, Aux) else ():
            if kind == "Plan":
                self._names.plan(news)
            elif kind == "Started" and self._names.of(news):
                self._start(news)
            elif kind in ("Log", "Step") and step_key(news) in self._started:
                self._log(news) if kind == "Log" else self._end(news)

    def _start(self, news: dict[str, Any]) -> None:
        key = step_key(news)
        stage = key.rpartition(" ")[0]
        vertex: dict[str, Any] = {"digest": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"}
        if stage in self._previous:
            vertex["inputs"] = [self._previous[stage]]
        self._previous[stage] = vertex["digest"]
        vertex |= {"name": self._names.of(news), "started": format_time(int(news["Time"] * _SECOND))}
        self._started[key] = vertex
        self._write("vertexes", vertex)

    def _end(self, news: dict[str, Any]) -> None:
        vertex = self._started[step_key(news)] | {"completed": format_time(time.time_ns())}
        if news["Outcome"] == "cached":
            vertex["cached"] = True
        if news["Outcome"] == "failed":
            vertex["error"] = "the step failed"
        self._write("vertexes", vertex)

    def _log(self, news: dict[str, Any]) -> None:
        data = b64encode(news["Text"].encode("utf-8", "surrogateescape")).decode()
        digest, stream = self._started[step_key(news)]["digest"], 2 if news.get("Error") else 1
        self._write(
            "logs", {"vertex": digest, "stream": stream, "data": data, "timestamp": format_time(time.time_ns())}
        )

    def _write(self, kind: str, value: dict[str, Any]) -> None:
        print(json.dumps({kind: [value]}), file=self._stream, flush=True)
