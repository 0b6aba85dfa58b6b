"""The progress of a graph: each of its vertices under the client's own digest for it.

Rule: moby/buildkit, solver/progress.go. A vertex is told when it is known, when it begins, and when it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

from lamina.builder.graph.vertex import Vertex
from lamina.daemon.buildkit.failures import failure_of
from lamina.daemon.buildkit.messages.status import ProgressGroup, StatusResponse, Timestamp
from lamina.daemon.buildkit.messages.status import Vertex as News
from lamina.daemon.buildkit.vertices import Step, Vertices
from lamina.formats.text import printable
from lamina.progress import Message


class GraphProgress:
    """A Watch that tells one build's vertices. Thread-safe."""

    def __init__(self, vertices: Vertices) -> None:
        self._vertices = vertices
        self._lock = threading.Lock()
        self._expected: set[str] = set()
        self._started: dict[str, Timestamp] = {}

    def expect(self, vertices: Sequence[Vertex]) -> None:
        with self._lock:
            new = [vertex for vertex in vertices if vertex.digest not in self._expected]
            self._expected |= {vertex.digest for vertex in new}
        if new:
            self._vertices.send(StatusResponse(tuple(map(_news, new))))

    def begin(self, vertex: Vertex) -> None:
        started = self._started[vertex.digest] = Timestamp.now()
        self._vertices.send(StatusResponse((msgspec.structs.replace(_news(vertex), started=started),)))

    def _step(self, vertex: Vertex) -> Step:
        return Step(vertex.digest, vertex.description.name, self._started[vertex.digest])

    def output(self, vertex: Vertex, text: str, error: bool) -> None:
        self._vertices.log(self._step(vertex), text, error)

    def report(self, vertex: Vertex, message: Message) -> None:
        self._vertices.hear(self._step(vertex), message)

    def end(self, vertex: Vertex, *, cached: bool = False, error: BaseException | None = None) -> None:
        done = msgspec.structs.replace(
            _news(vertex),
            cached=cached,
            started=self._started[vertex.digest],
            completed=Timestamp.now(),
            error="" if error is None else failure_of(error),
        )
        self._vertices.send(StatusResponse((done,)))


def _news(vertex: Vertex) -> News:
    description = vertex.description
    group = description.group
    inputs = tuple(dict.fromkeys(edge.vertex.digest for edge in vertex.inputs))
    progress = ProgressGroup(group.id, group.name, group.weak) if group is not None else None
    return News(vertex.digest, inputs, printable(description.name, " "), group=progress)
