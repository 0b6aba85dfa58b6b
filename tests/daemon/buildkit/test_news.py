"""What is kept of a build's news, whatever its commands write."""

from __future__ import annotations

import tracemalloc

import pytest

from lamina.daemon.buildkit import history
from lamina.daemon.buildkit.history import News, record_of
from lamina.daemon.buildkit.messages.control import HistoryRecord
from lamina.daemon.buildkit.messages.status import StatusResponse, Timestamp, Vertex, VertexLog

NOW = Timestamp(1, 0)


def vertex(*, done: bool) -> StatusResponse:
    return StatusResponse((Vertex("v", (), "RUN yes", started=NOW, completed=NOW if done else None),))


def wrote(text: bytes) -> StatusResponse:
    return StatusResponse(logs=(VertexLog("v", NOW, 1, text),))


def test_a_command_that_writes_without_end_takes_little_memory() -> None:
    tracemalloc.start()
    try:
        news = News()
        news.add(vertex(done=False))
        for number in range(4_000):  # 256 MB
            news.add(wrote(b"%08d" % number * (1 << 13)))
        news.add(vertex(done=True))
        assert tracemalloc.get_traced_memory()[0] < 24 << 20
    finally:
        tracemalloc.stop()
    assert news.messages[-2].logs[0].message.startswith(b"00003999")
    record = record_of(HistoryRecord("r"), news.messages)
    assert record.vertices[0].completed
    assert record.vertices[0].log.endswith("00003999")
    assert len(record.vertices[0].log) == 256 << 10


def test_the_end_of_a_step_is_told_whatever_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MOST_NEWS", 3)
    news = News()
    for message in (vertex(done=False), *(wrote(b"x"),) * 10, vertex(done=True), *(vertex(done=True),) * 10):
        news.add(message)
    assert [len(message.logs) for message in news.messages] == [0, 1, 1, 0, 0, 0]
