"""A build as BuildKit's clients see it: each step a vertex that starts, says something, and ends.

The builder tells its steps to a Console. This one makes values of them, for the `StatusResponse` messages.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lamina.builder.console import Console
from lamina.daemon.buildkit.failures import failure_of
from lamina.daemon.buildkit.filesync import TRANSFERRING
from lamina.daemon.buildkit.messages.source import SourceInfo, ranges_of
from lamina.daemon.buildkit.messages.status import (
    StatusResponse,
    Timestamp,
    Vertex,
    VertexLog,
    VertexStatus,
    VertexWarning,
)
from lamina.dockerfile.checks.findings import Finding
from lamina.errors import LaminaError
from lamina.formats.text import printable
from lamina.progress import Message, Output, Report, Status, ignore

Send = Callable[[StatusResponse], None]
_SHOWN = frozenset({"FROM", "RUN", "COPY", "ADD", "WORKDIR"})


@dataclass(slots=True)
class Step:
    """A vertex that has started."""

    digest: str
    name: str
    started: Timestamp
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """The Dockerfile of a build, and the digest of the vertex that loaded it."""

    digest: str
    file: SourceInfo


class Vertices:
    """The vertices of one build, in order, sent as they change. Thread-safe."""

    def __init__(self, ref: str, send: Send) -> None:
        """`ref` is the build's ID: vertices of two builds are never the same."""
        self._ref = ref
        self.send = send
        self._count = 0
        self._previous = ""
        self.definition: Definition | None = None
        self._findings: set[Finding] = set()  # that were told
        self._lock = threading.Lock()

    def start(self, name: str) -> Step:
        """Begin a vertex that needs the one before it."""
        with self._lock:
            self._count += 1
            digest = "sha256:" + hashlib.sha256(f"{self._ref}\0{self._count}\0{name}".encode()).hexdigest()
            inputs = (self._previous,) if self._previous else ()
            self._previous = digest
            opened = Step(digest, printable(name, " "), Timestamp.now())
        self.send(StatusResponse((Vertex(digest, inputs, opened.name, started=opened.started),)))
        return opened

    def end(self, vertex: Step, error: str = "") -> None:
        """End a vertex, badly with an error."""
        done = Vertex(vertex.digest, (), vertex.name, vertex.cached, vertex.started, Timestamp.now(), error)
        self.send(StatusResponse((done,)))

    def log(self, vertex: Step, text: str, error: bool = False) -> None:
        """Tell output of a vertex."""
        raw = text.encode("utf-8", "surrogateescape")
        log = VertexLog(vertex.digest, Timestamp.now(), 2 if error else 1, raw)
        self.send(StatusResponse(logs=(log,)))

    def status(self, vertex: Step, status: Status) -> None:
        """Tell how far a part of a vertex is, such as a layer that is pulled."""
        now = Timestamp.now()
        name = f"{status.id}: {status.status}" if status.id else status.status
        if status.status == TRANSFERRING:
            name = f"{status.status} {status.id}:"  # clients look for both, moby/buildkit, source/local
        part = VertexStatus(
            name,
            vertex.digest,
            status.status if status.status == TRANSFERRING else name,
            status.current or 0,
            status.total or 0,
            timestamp=now,
            started=vertex.started,
        )
        self.send(StatusResponse(statuses=(part,)))

    def hear(self, vertex: Step, message: Message) -> None:
        """Tell what work reports as a part of a vertex."""
        if isinstance(message, Status):
            self.status(vertex, message)
        elif isinstance(message, Output):
            self.log(vertex, message.text, message.error)

    def warn_of(self, finding: Finding) -> None:
        """Tell a finding of the Dockerfile's checks once, as a warning about the vertex that loaded the file."""
        if self.definition is None or finding in self._findings:
            return
        self._findings.add(finding)
        warning = VertexWarning(
            self.definition.digest,
            1,
            str(finding).encode(),
            (finding.rule.description.encode(),),
            finding.rule.url,
            self.definition.file,
            ranges_of(finding.lines.first, finding.lines.last),
        )
        self.send(StatusResponse(warnings=(warning,)))

    def warn(self, vertex: Step, text: str) -> None:
        """Tell a warning about a vertex."""
        warning = VertexWarning(vertex.digest, 1, text.encode("utf-8", "surrogateescape"))
        self.send(StatusResponse(warnings=(warning,)))

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show the work of a block as a vertex."""
        vertex = self.start(name)
        try:
            yield vertex
        except BaseException as error:
            self.end(vertex, failure_of(error))
            raise
        self.end(vertex)


class VertexConsole(Console):
    """Hear the steps of a build and show them as vertices."""

    every_stage = False

    def __init__(self, vertices: Vertices, whole: VertexConsole | None = None, platform: str = "") -> None:
        """`whole` is the build's console, for that of a part. `platform` is named where there are several."""
        super().__init__(ignore)
        self._platform = f"{platform} " if platform else ""
        self._vertices = vertices
        self._whole = whole
        self._current: Step | None = None
        self._latest: Step | None = None  # of any part
        self._stage = ""
        self._total = self._shown = 0
        self._is_hidden = False  # whether the next step is the FROM of a stage without an image of its own

    def report(self, message: Message) -> None:
        """Take a report from the work of a step, such as a pull."""
        step = self._current or self._latest
        if step is not None:
            self._vertices.hear(step, message)

    def text(self, text: str, error: bool = False) -> None:
        if self._current is not None:
            self._vertices.log(self._current, text, error)

    def line(self, text: str) -> None:
        if self._current is not None:
            self._vertices.warn(self._current, printable(text, "\t"))

    @contextmanager
    def aside(self, name: str) -> Iterator[Callable[[str], None]]:
        with self._vertices.step(f"{self._platform}{name}") as vertex:
            yield lambda text: self._vertices.warn(vertex, printable(text, "\t"))

    def part(self, report: Report, platform: str = "") -> VertexConsole:
        return VertexConsole(self._vertices, self, platform or self._platform.rstrip())

    def findings(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self._vertices.warn_of(finding)

    def part_failed(self, error: BaseException) -> None:
        self._fail(error)

    def stage(self, name: str, instructions: Sequence[str], has_base: bool) -> None:
        self._stage = f"{name} " if name else ""
        self._is_hidden = not has_base
        self._total = sum(map(_makes_files, instructions[0 if has_base else 1 :]))
        self._shown = 0

    def step(self, number: int, total: int, instruction: str, expanded: str) -> None:
        self._end()
        is_hidden, self._is_hidden = self._is_hidden, False
        if _makes_files(instruction) and not is_hidden:
            self._shown += 1
            self._current = self._vertices.start(
                f"[{self._platform}{self._stage}{self._shown:{len(str(self._total))}}/{self._total}] {expanded}"
            )
            if self._whole is not None:
                self._whole._latest = self._current

    def image(self, image_id: str) -> None:
        self._end()

    def cached(self) -> None:
        if self._current is not None:
            self._current.cached = True

    def running(self, container_id: str) -> None: ...

    def removed(self, container_id: str) -> None: ...

    def stage_done(self, image_id: str) -> None: ...

    def built(self, image_id: str, tags: list[str]) -> None:
        self._end()

    def failed(self, error: LaminaError) -> None:
        self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End the step that failed, and name it to the client that asks for the reason."""
        if self._current is not None and isinstance(error, LaminaError):
            error.facts.setdefault("vertex", self._current.digest)
        self._end(failure_of(error))

    def _end(self, error: str = "") -> None:
        vertex, self._current = self._current, None
        if vertex is not None:
            self._vertices.end(vertex, error)


def _makes_files(instruction: str) -> bool:
    """Return whether BuildKit shows a step of it: others only change the config."""
    return instruction.partition(" ")[0].upper() in _SHOWN
