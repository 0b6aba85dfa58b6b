"""Docker's stream frames: what is framed comes out again, however it was cut, and what is not framed is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import Corrupt
from lamina.formats.frames import MAX_FRAME, STDERR, STDOUT, Deframer, frame, frame_head, unframer

pieces = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40)))


@given(pieces, st.lists(st.integers(1, 30)))
def test_frames_survive_any_cut(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(stream, text) for stream, text in sent)
    deframer, unframed = Deframer(), unframer()
    received: list[tuple[int, bytes]] = []
    plain = b""
    for cut in [*cuts, len(data)]:
        received += deframer.feed(data[:cut])
        plain += unframed(data[:cut])
        data = data[cut:]
    assert plain == b"".join(text for _, text in sent)
    for stream in (STDOUT, STDERR):
        assert b"".join(t for s, t in received if s == stream) == b"".join(t for s, t in sent if s == stream)


@given(st.binary(max_size=300))
def test_a_frame_is_its_head_and_its_bytes(data: bytes) -> None:
    assert frame(STDERR, data) == frame_head(STDERR, len(data)) + data == b"\2\0\0\0" + len(data).to_bytes(4) + data


@given(st.binary(min_size=8, max_size=8))
def test_any_head_is_taken_or_said_to_be_none(head: bytes) -> None:
    framed = head[0] <= 3 and head[1:4] == b"\0\0\0" and int.from_bytes(head[4:]) <= MAX_FRAME
    if framed:
        assert Deframer().feed(head) == []
    else:
        with pytest.raises(Corrupt):
            Deframer().feed(head)
