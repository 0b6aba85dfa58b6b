"""Requests to the kernel over netlink: messages, their attributes, and the answers (netlink(7), linux/netlink.h)."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence number, port
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
_NUMBER = struct.Struct("=i")
_REQUEST, _ACKNOWLEDGE, _INTERRUPTED, _DUMP = 0x01, 0x04, 0x10, 0x300
_ERROR, _DONE = 2, 3  # types of messages
_NESTED, _TYPE = 0x8000, 0x3FFF  # a bit and the mask of an attribute's type
_SOL_NETLINK, _STRICT_CHECK = 270, 12
_LARGEST_ANSWER = 1 << 16  # bytes; the kernel fills at most half of it at once

CREATE = 0x600
"""The flags of a request that makes something new: NLM_F_CREATE and NLM_F_EXCL."""


class Netlink:
    """A connection to one netlink family of the kernel. Thread-safe; `close` may be called twice.

    It belongs to the network namespace that its maker's thread is in, whichever thread uses it.
    """

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family)
        self._lock = threading.Lock()
        self._sequence = 0
        try:
            self._socket.bind((0, 0))
            with suppress(OSError):  # before Linux 4.20 the kernel ignores filters of lists
                self._socket.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def request(self, kind: int, body: bytes, flags: int = 0) -> list[bytes]:
        """Make a request, and return the bodies of the messages that answer it. Raise OSError where the kernel
        refuses it."""
        return self._exchange(kind, body, flags | _ACKNOWLEDGE)[0]

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Return the bodies of all messages of a list. One that changes while the kernel writes it is read again."""
        while True:
            messages, is_consistent = self._exchange(kind, body, _DUMP)
            if is_consistent:
                return messages

    def _exchange(self, kind: int, body: bytes, flags: int) -> tuple[list[bytes], bool]:
        messages: list[bytes] = []
        is_consistent = True
        with self._lock:
            self._sequence += 1
            header = _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, self._sequence, 0)
            self._socket.send(header + body)
            while True:
                for answer, answer_flags, sequence, content in _messages(self._socket.recv(_LARGEST_ANSWER)):
                    if sequence != self._sequence:
                        continue  # the rest of a list that ended with an error
                    is_consistent = is_consistent and not answer_flags & _INTERRUPTED
                    if answer in (_ERROR, _DONE):
                        _check(content)
                        return messages, is_consistent
                    messages.append(content)


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield type, flags, sequence number and body of each message."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        yield kind, flags, sequence, data[offset + _HEADER.size : offset + length]
        offset += _aligned(max(length, _HEADER.size))


def _check(content: bytes) -> None:
    """Raise OSError where the last message of an answer tells of a failure."""
    number = -_NUMBER.unpack_from(content)[0] if len(content) >= _NUMBER.size else 0
    if number:
        raise OSError(number, os.strerror(number))


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute of a message."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_aligned(length) - length)


def text(kind: int, value: str) -> bytes:
    """Return an attribute that holds text, with the zero byte that ends it."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """Return an attribute that holds 32 bits."""
    return attribute(kind, struct.pack("=I", value))


def nested(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that holds others."""
    return attribute(kind | _NESTED, b"".join(attributes))


def attributes_of(data: bytes) -> dict[int, bytes]:
    """Return the attributes in `data` by type. Of several of one type the last one counts."""
    values, offset = {}, 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        values[kind & _TYPE] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += _aligned(max(length, _ATTRIBUTE.size))
    return values
