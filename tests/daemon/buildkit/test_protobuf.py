"""Messages survive the wire, and bytes that are no message are refused as such."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.daemon.buildkit.messages.session import Packet, Stat
from lamina.daemon.buildkit.messages.status import StatusResponse, Timestamp, Vertex, VertexLog
from lamina.errors import InvalidInput

numbers = st.integers(-(1 << 63), (1 << 63) - 1)
stats = st.builds(
    Stat,
    path=st.text(),
    mode=numbers,
    size=numbers,
    target=st.text(),
    xattrs=st.dictionaries(st.text(), st.binary(), max_size=3),
)
times = st.none() | st.builds(Timestamp, numbers, numbers)
vertices = st.builds(
    Vertex,
    digest=st.text(),
    inputs=st.lists(st.text(), max_size=3).map(tuple),
    cached=st.booleans(),
    started=times,
)


@given(st.builds(Packet, type=numbers, stat=st.none() | stats, id=numbers, data=st.binary()))
def test_a_packet_comes_back_as_it_went(packet: Packet) -> None:
    assert Packet.decode(packet.encode()) == packet


@given(st.lists(vertices, max_size=3), st.lists(st.builds(VertexLog, message=st.binary()), max_size=3))
def test_news_of_a_build_come_back_as_they_went(told: list[Vertex], logs: list[VertexLog]) -> None:
    status = StatusResponse(tuple(told), logs=tuple(logs))

    assert StatusResponse.decode(status.encode()) == status


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_invalid_input(raw: bytes) -> None:
    try:
        packet = Packet.decode(raw)
    except InvalidInput:
        return
    assert Packet.decode(packet.encode()) == packet


def test_the_encoding_is_that_of_the_standard() -> None:
    # Worked by hand after protobuf.dev, "Encoding": field 3 as varint 150, field 4 as two bytes.
    assert Packet(id=150, data=b"hi").encode() == bytes.fromhex("18 96 01 22 02 68 69")
    assert Stat(size=-1).encode() == bytes.fromhex("28 ff ff ff ff ff ff ff ff ff 01")


def test_names_that_are_no_text_keep_their_bytes() -> None:
    assert Stat.decode(b"\x0a\x02\xff\xfe").path.encode("utf-8", "surrogateescape") == b"\xff\xfe"


def test_fields_that_are_not_known_are_ignored() -> None:
    unknown = bytes.fromhex("f8 01 05") + bytes.fromhex("fd 01 00 00 00 00")

    assert Packet.decode(unknown + Packet(id=7).encode()) == Packet(id=7)


@pytest.mark.parametrize(
    "raw",
    [b"\x12", b"\x12\x05ab", b"\x18" + b"\xff" * 11, b"\x1b", b"\x12\x00" * 200_001, b"\x02\x00", b"\x15\x00\x00"],
    ids=["no length", "short", "endless number", "group", "many values", "number 0", "short fixed"],
)
def test_broken_messages_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        Packet.decode(raw)
