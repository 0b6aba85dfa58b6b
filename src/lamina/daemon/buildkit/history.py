"""BuildKit's messages about a build as a record of lamina's history, and the other way round."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from msgspec.structs import replace

from lamina.api.build_history import BuildRecord, HistoryVertex
from lamina.daemon.buildkit.failures import code_of, details_of, failure_of
from lamina.daemon.buildkit.history_content import failure_descriptor, stack_of, trace_descriptor
from lamina.daemon.buildkit.messages.control import HistoryRecord, Status
from lamina.daemon.buildkit.messages.status import StatusResponse, Timestamp, Vertex, VertexLog
from lamina.engine.builds import Builds
from lamina.errors import InvalidInput

_LOG = logging.getLogger("lamina.daemon")
_MOST_NEWS = 100_000  # messages kept of one build, and once more of its vertices
_MOST_OUTPUT = 16 << 20  # bytes that commands wrote, in all of them; the end counts
_MOST_LOG = 256 << 10  # bytes of a vertex's log that are kept; the end counts


class News:
    """The news of one build, as far as they are kept: the last output of its commands, and what became of it all."""

    def __init__(self) -> None:
        self.messages: list[StatusResponse] = []
        self._output = 0  # bytes
        self._oldest = 0  # all messages before it have lost their output

    def add(self, status: StatusResponse) -> None:
        """Keep a message. Drop the oldest output where it becomes too much."""
        if len(self.messages) >= (2 * _MOST_NEWS if status.vertexes else _MOST_NEWS):
            return
        self.messages.append(status)
        self._output += _output_of(status)
        while self._output > _MOST_OUTPUT:
            oldest = self.messages[self._oldest]
            if oldest.logs:
                self._output -= _output_of(oldest)
                self.messages[self._oldest] = replace(oldest, logs=())
            self._oldest += 1


def _output_of(status: StatusResponse) -> int:
    return sum(len(log.message) for log in status.logs)


def record_of(message: HistoryRecord, news: Iterable[StatusResponse]) -> BuildRecord:
    """Return the record of a build that has ended."""
    vertices: dict[str, Vertex] = {}
    logs: dict[str, bytearray] = {}
    for status in news:
        vertices.update((vertex.digest, vertex) for vertex in status.vertexes)
        for log in status.logs:
            told = logs.setdefault(log.vertex, bytearray())
            told += log.message
            if len(told) > 2 * _MOST_LOG:
                del told[:-_MOST_LOG]
    return BuildRecord(
        ref=message.ref,
        frontend=message.frontend or "gateway.v0",
        options=dict(message.attributes),
        started=_nanoseconds(message.created),
        completed=_nanoseconds(message.completed),
        error=message.error.message or "it failed" if message.error is not None else "",
        code=message.error.code if message.error is not None else 0,
        failure=message.error.encode() if message.error is not None else b"",
        response=dict(message.response),
        vertices=tuple(_kept(vertex, bytes(logs.get(vertex.digest, b"")[-_MOST_LOG:])) for vertex in vertices.values()),
    )


@contextmanager
def recorded(
    builds: Builds, ref: str, options: Mapping[str, str], send: Callable[[StatusResponse], None]
) -> Iterator[tuple[Callable[[StatusResponse], None], dict[str, str]]]:
    """Keep a record of the build in the block.

    Yield what hears its news and passes them to `send`, and the response that it gives in the end.
    """
    news = News()
    response: dict[str, str] = {}
    message = HistoryRecord(ref, "dockerfile.v0", dict(options), created=Timestamp.now())

    def hear(status: StatusResponse) -> None:
        news.add(status)
        send(status)

    error: Status | None = None
    try:
        yield hear, response
    except BaseException as failure:
        error = Status(code_of(failure), failure_of(failure), (*details_of(failure), *stack_of(failure)))
        raise
    finally:
        ended = replace(message, completed=Timestamp.now(), error=error, response=response)
        keep(builds, record_of(ended, news.messages))


def keep(builds: Builds, record: BuildRecord) -> None:
    """Write the record of a build. The build has ended well or badly, whatever becomes of that."""
    try:
        builds.keep_record(record)
    except (InvalidInput, OSError) as error:  # a ref that is no name, a full disk
        _LOG.warning("the record of build %r cannot be kept: %s", record.ref[:80], error)


def message_of(record: BuildRecord) -> HistoryRecord:
    """Return a record as BuildKit's clients read it."""
    done = [vertex for vertex in record.vertices if vertex.completed]
    return HistoryRecord(
        record.ref,
        record.frontend,
        record.options,
        error=Status(record.code, record.error) if record.error else None,
        created=Timestamp.of(record.started),
        completed=Timestamp.of(record.completed),
        trace=trace_descriptor(record),
        failure=failure_descriptor(record),
        response=record.response,
        pinned=record.pinned,
        cached_steps=sum(vertex.cached for vertex in done),
        total_steps=len(record.vertices),
        completed_steps=len(done),
    )


def news_of(record: BuildRecord) -> list[StatusResponse]:
    """Return what a build told as its client would have heard it: each step with its log, at its end."""
    news: list[StatusResponse] = []
    for number, kept in enumerate(record.vertices):
        digest = f"sha256:{number:064x}"
        started, completed = Timestamp.of(kept.started), Timestamp.of(kept.completed)
        vertex = Vertex(digest, (), kept.name, kept.cached, started, completed, kept.error)
        logs = (VertexLog(digest, completed, 1, kept.log.encode("utf-8", "surrogateescape")),) if kept.log else ()
        news.append(StatusResponse((vertex,), logs=logs))
    return news


def _kept(vertex: Vertex, log: bytes) -> HistoryVertex:
    times = _nanoseconds(vertex.started), _nanoseconds(vertex.completed)
    return HistoryVertex(vertex.name, *times, vertex.cached, vertex.error, log.decode("utf-8", "replace"))


def _nanoseconds(moment: Timestamp | None) -> int:
    return 0 if moment is None else moment.seconds * 10**9 + moment.nanos
