"""DNS messages: questions read strictly, answers written. Rules: RFC 1035 section 4, RFC 6891 (EDNS).

Questions come from containers and answers from the network, so nothing in them is trusted. A name has at most 255
bytes, a compression pointer leads back and never forward, and a count that the bytes do not bear out is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

A, PTR, AAAA, OPT, ANY = 1, 12, 28, 41, 255  # types of records
INTERNET = 1  # the class of all names that matter here
FORMAT_ERROR, SERVER_FAILURE, NOT_IMPLEMENTED, REFUSED, BAD_VERSION = 1, 2, 4, 5, 16  # codes of failures
LONGEST_QUERY = 4096  # bytes; a question with all of EDNS's options is far shorter
LONGEST = 65535  # bytes of any message
PLAIN_SIZE = 512  # bytes of an answer by UDP to those who do not speak EDNS
OUR_SIZE = 4096  # bytes of a question that we take by UDP

_HEAD = struct.Struct("!HHHHHH")  # ID, flags, and how many questions, answers, authorities and additions
_RECORD = struct.Struct("!HHIH")
_IS_ANSWER, _TRUNCATED, _RECURSION, _AVAILABLE, _CHECKING_OFF = 0x8000, 0x0200, 0x0100, 0x0080, 0x0010
_OPCODE = 0x7800
_LONGEST_NAME = 255  # bytes with all lengths and the root
_LONGEST_LABEL = 63
_POINTER = 0xC000
_TO_QUESTION = _POINTER | _HEAD.size  # a name that is the question's


class Malformed(ValueError):
    """A message that breaks the rules. `code` is what its sender is told; None when it gets no answer at all."""

    def __init__(self, reason: str, code: int | None = FORMAT_ERROR) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Query:
    """One question. `name` is in lower case, without the last dot; dots and backslashes inside a label are escaped.

    `size` is how many bytes of an answer by UDP the client takes; `end` is the offset behind the question in `raw`.
    """

    raw: bytes
    name: str
    type: int
    kind: int
    end: int
    edns: bool
    size: int

    @property
    def id(self) -> int:
        return int.from_bytes(self.raw[:2], "big")


@dataclass(frozen=True, slots=True)
class Record:
    """An answer to the question: its type, how many seconds it holds, and its data."""

    type: int
    ttl: int
    data: bytes


def parse_query(raw: bytes) -> Query:
    """Return the one question in `raw`. Raise Malformed."""
    if len(raw) < _HEAD.size:
        raise Malformed("shorter than a header", None)
    _, flags, questions, *others = _HEAD.unpack_from(raw)
    if flags & _IS_ANSWER:
        raise Malformed("an answer, not a question", None)
    if len(raw) > LONGEST_QUERY:
        raise Malformed("longer than a question may be")
    if flags & _OPCODE:
        raise Malformed("not a standard query", NOT_IMPLEMENTED)
    if questions != 1:
        raise Malformed(f"{questions} questions")
    name, offset = read_name(raw, _HEAD.size, compressed=False)
    if len(raw) < offset + 4:
        raise Malformed("the question is cut off")
    type, kind = struct.unpack_from("!HH", raw, offset)
    sizes = list(_edns_sizes(raw, offset + 4, others))
    if len(sizes) > 1:
        raise Malformed("several OPT records")  # RFC 6891, 6.1.1
    size = max(PLAIN_SIZE, *sizes) if sizes else PLAIN_SIZE
    return Query(raw, name, type, kind, offset + 4, bool(sizes), size)


def _edns_sizes(raw: bytes, offset: int, counts: Iterable[int]) -> Iterator[int]:
    """Walk over all records behind the question, and yield the sizes in OPT records."""
    answers, authorities, additions = counts
    for number in range(answers + authorities + additions):
        name, offset = read_name(raw, offset)
        if len(raw) < offset + _RECORD.size:
            raise Malformed("a record is cut off")
        type, size, extension, length = _RECORD.unpack_from(raw, offset)
        offset += _RECORD.size + length
        if len(raw) < offset:
            raise Malformed("a record's data is cut off")
        if type == OPT:
            if name or number < answers + authorities:
                raise Malformed("a misplaced OPT record")
            if extension >> 16 & 0xFF:
                raise Malformed("a version of EDNS that nobody has", BAD_VERSION)  # RFC 6891, 6.1.3
            yield size
    if offset != len(raw):
        raise Malformed("bytes behind the last record")


def read_name(raw: bytes, offset: int, *, compressed: bool = True) -> tuple[str, int]:
    """Return the name at `offset` as `Query.name` has it, and the offset behind it. Raise Malformed."""
    labels: list[str] = []
    size, end = 1, -1  # the root's byte; where the name ends at its first place
    limit = offset  # a pointer leads to before this
    while True:
        if offset >= len(raw):
            raise Malformed("a name is cut off")
        length = raw[offset]
        if length == 0:
            return ".".join(labels), end if end >= 0 else offset + 1
        if length > _LONGEST_LABEL:
            end = end if end >= 0 else offset + 2
            limit = offset = _pointed_at(raw, offset, limit if compressed else 0)
            continue
        size += length + 1
        label = raw[offset + 1 : offset + 1 + length]
        if size > _LONGEST_NAME or len(label) < length:
            raise Malformed("a name is too long or cut off")
        labels.append(_text(label))
        offset += length + 1


def _pointed_at(raw: bytes, offset: int, limit: int) -> int:
    pointer = int.from_bytes(raw[offset : offset + 2], "big")
    target = pointer & ~_POINTER
    if pointer & _POINTER != _POINTER or len(raw) < offset + 2 or not _HEAD.size <= target < limit:
        raise Malformed("a bad label or pointer")
    return target


def _text(label: bytes) -> str:
    text = label.decode("latin-1").lower() if not label.isascii() else label.decode().lower()
    return text.replace("\\", "\\\\").replace(".", "\\.") if b"." in label or b"\\" in label else text


def write_name(name: str) -> bytes:
    """Return a name without escapes as it is sent. Raise ValueError for one that cannot be: it is too long, say."""
    labels = [label.encode() for label in name.split(".")]
    if not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        raise ValueError(f"{name!r} has a label that is empty or too long")
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if len(wire) > _LONGEST_NAME:
        raise ValueError(f"{name!r} is too long for a name")
    return wire


def write_answer(query: Query, records: Iterable[Record], limit: int) -> bytes:
    """Return the answer with as many of `records` as `limit` bytes hold; where some are left out, it says so."""
    tail = _opt(OUR_SIZE) if query.edns else b""
    room = limit - query.end - len(tail)
    parts: list[bytes] = []
    truncated = 0
    for record in records:
        part = struct.pack("!H", _TO_QUESTION) + _RECORD.pack(record.type, INTERNET, record.ttl, len(record.data))
        room -= len(part) + len(record.data)
        if room < 0:
            truncated = _TRUNCATED
            break
        parts.append(part + record.data)
    flags = _IS_ANSWER | _AVAILABLE | truncated | (_flags(query.raw) & (_RECURSION | _CHECKING_OFF))
    head = _HEAD.pack(query.id, flags, 1, len(parts), 0, 1 if tail else 0)
    return head + query.raw[_HEAD.size : query.end] + b"".join(parts) + tail


def write_failure(raw: bytes, code: int, end: int = 0) -> bytes:
    """Return an answer of a header with a `code`, and of the question where `end` tells how far that goes in `raw`.

    The bits of a code for which the header has no room are in an OPT record.
    """
    tail = _opt(OUR_SIZE, code >> 4) if code > 0xF else b""
    flags = _IS_ANSWER | _AVAILABLE | (_flags(raw) & (_OPCODE | _RECURSION | _CHECKING_OFF)) | code & 0xF
    head = _HEAD.pack(0, flags, 1 if end else 0, 0, 0, 1 if tail else 0)
    return raw[:2] + head[2:] + raw[_HEAD.size : end] + tail


def with_id(raw: bytes, id: int) -> bytes:
    """Return the message with another ID; everything else stays, byte for byte."""
    return id.to_bytes(2, "big") + raw[2:]


def code_of_answer(query: Query, id: int, raw: bytes) -> int | None:
    """Return the code in the answer to `query`, which was sent with `id`; None when `raw` is no such answer."""
    if len(raw) < query.end:
        return None
    answer_id, flags, questions, *_ = _head(raw)
    if answer_id != id or not flags & _IS_ANSWER or flags & _OPCODE:
        return None
    if questions == 0 and flags & 0xF:  # some servers repeat no question when they refuse it
        return flags & 0xF
    same = raw[_HEAD.size : query.end].lower() == query.raw[_HEAD.size : query.end].lower()
    return flags & 0xF if questions == 1 and same else None


def _head(raw: bytes) -> tuple[int, ...]:
    return _HEAD.unpack_from(raw)


def _flags(raw: bytes) -> int:
    return int.from_bytes(raw[2:4], "big")


def _opt(size: int, code: int = 0) -> bytes:
    """Return an OPT record of version 0 with the upper bits of a code (RFC 6891, 6.1.3)."""
    return b"\0" + _RECORD.pack(OPT, size, code << 24, 0)
