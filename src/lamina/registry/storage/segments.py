"""What an upload or blob in an object store is made of: objects behind each other, or a few bytes on the spot."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Segment(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """`size` bytes: an object's, or `data` themselves (base64 in JSON)."""

    key: str
    size: int
    data: bytes = b""


Segments = tuple[Segment, ...]


def encode(segments: Segments) -> str:
    """As text for the database."""
    return msgspec.json.encode(segments).decode()


def decode(text: str) -> Segments:
    """From text in the database."""
    return msgspec.json.decode(text, type=Segments)


def cut(segments: Segments, first: int, count: int) -> Iterator[tuple[Segment, int, int]]:
    """The parts of segments that make up `count` bytes from `first` on: segment, first byte in it, end in it."""
    begin = 0
    for segment in segments:
        start, end = max(first, begin), min(first + count, begin + segment.size)
        if start < end:
            yield segment, start - begin, end - begin
        begin += segment.size
