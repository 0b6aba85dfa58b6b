"""DATA frames that are joined before h2 reads them."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, StreamEnded
from h2.exceptions import FrameTooLargeError
from hyperframe.frame import DataFrame, Frame, PingFrame

from lamina.daemon.buildkit.data_frames import DataFrames

HEADERS = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "x")]
LARGEST = 1 << 14


def frames_in(data: bytes) -> list[Frame]:
    frames = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        frames.append(frame)
        data = data[9 + length :]
    return frames


def data_frames(*parts: tuple[int, bytes]) -> bytes:
    return b"".join(DataFrame(stream, part).serialize() for stream, part in parts)


def pairs(frames: list[Frame]) -> list[tuple[int, bytes]]:
    return [(frame.stream_id, frame.data) for frame in frames if isinstance(frame, DataFrame)]


def test_small_frames_of_one_stream_become_one() -> None:
    frames = frames_in(DataFrames(is_server=False).joined(data_frames(*[(1, b"abc")] * 300)))
    assert pairs(frames) == [(1, b"abc" * 300)]


def test_other_streams_and_other_frames_come_in_between() -> None:
    ping = PingFrame(0, b"12345678").serialize()
    raw = data_frames((1, b"a"), (3, b"b"), (3, b"c")) + ping + data_frames((3, b"d"), (1, b"e"))
    frames = frames_in(DataFrames(is_server=False).joined(raw))
    assert [type(frame).__name__ for frame in frames] == ["DataFrame", "DataFrame", "PingFrame", *["DataFrame"] * 2]
    assert pairs(frames) == [(1, b"a"), (3, b"bc"), (3, b"d"), (1, b"e")]


def test_no_frame_becomes_larger_than_a_frame_may_be() -> None:
    frames = pairs(frames_in(DataFrames(is_server=False).joined(data_frames(*[(1, b"x" * 5000)] * 7))))
    assert [len(data) for _, data in frames] == [15000, 15000, 5000]


@pytest.mark.parametrize("flag", ["END_STREAM", "PADDED"])
def test_a_frame_that_says_more_stays_as_it_is(flag: str) -> None:
    last = DataFrame(1, b"c", pad_length=4 if flag == "PADDED" else 0, flags=[flag])
    joined = DataFrames(is_server=False).joined(data_frames((1, b"a"), (1, b"b")) + last.serialize())
    assert joined == data_frames((1, b"ab")) + last.serialize()


def test_a_frame_waits_for_its_end_wherever_it_is_cut() -> None:
    raw = data_frames((1, b"abc"), (1, b"def"), (5, b"g"))
    for cut in range(len(raw)):
        frames = DataFrames(is_server=False)
        received = frames_in(frames.joined(raw[:cut]) + frames.joined(raw[cut:]))
        assert b"".join(data for stream, data in pairs(received) if stream == 1) == b"abcdef"
        assert pairs(received)[-1] == (5, b"g")


def connected() -> tuple[H2Connection, H2Connection, bytes]:
    """A client and a server, and what the client says first."""
    client = H2Connection(H2Configuration(client_side=True))
    server = H2Connection(H2Configuration(client_side=False))
    client.initiate_connection()
    server.initiate_connection()
    for stream in (1, 3, 5):
        client.send_headers(stream, HEADERS)
    return client, server, client.data_to_send()


def bytes_of(events: list[Event]) -> dict[int, bytes]:
    received: dict[int, bytes] = {}
    for event in events:
        if isinstance(event, DataReceived):
            received[event.stream_id or 0] = received.get(event.stream_id or 0, b"") + (event.data or b"")
    return received


def test_h2_receives_the_same_and_its_windows_are_the_same() -> None:
    source = random.Random(5)
    client, server, raw = connected()
    plain = H2Connection(H2Configuration(client_side=False))
    plain.initiate_connection()
    for _ in range(400):
        client.send_data(source.choice((1, 3, 5)), source.randbytes(source.choice((0, 1, 40, 200))))
        raw += client.data_to_send()
    for stream in (1, 3, 5):
        client.end_stream(stream)
    raw += client.data_to_send()
    expected = plain.receive_data(raw)
    frames, events = DataFrames(is_server=True), list[Event]()
    cuts = sorted({0, len(raw), *(source.randrange(len(raw)) for _ in range(9)), 3, 24, 30})
    for begin, end in pairwise(cuts):
        events += server.receive_data(frames.joined(raw[begin:end]))
    assert bytes_of(events) == bytes_of(expected)
    assert sum(isinstance(event, StreamEnded) for event in events) == 3
    assert server.inbound_flow_control_window == plain.inbound_flow_control_window
    assert sum(isinstance(event, DataReceived) for event in events) < len(expected)


def test_h2_refuses_a_frame_that_is_too_large_before_it_is_whole() -> None:
    _, server, raw = connected()
    frames = DataFrames(is_server=True)
    server.receive_data(frames.joined(raw))
    head = (LARGEST + 1).to_bytes(3, "big") + b"\0\0" + (1).to_bytes(4, "big")
    received = b"".join(map(frames.joined, [head, *[b"x" * 1024] * 17]))
    with pytest.raises(FrameTooLargeError):
        server.receive_data(received)
