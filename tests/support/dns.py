"""A small DNS client, and a reader of messages that owes nothing to lamina's own."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
from dataclasses import dataclass

A, PTR, MX, TXT, AAAA, SRV, OPT, HTTPS, ANY = 1, 12, 15, 16, 28, 33, 41, 65, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
BADVERS = 16
SERVER = "127.0.0.11"


@dataclass(frozen=True)
class Answer:
    """An answer. `records` are (name, type, TTL, data): addresses and names as text, other data as bytes."""

    id: int
    code: int
    truncated: bool
    recursion_available: bool
    question: tuple[str, int, int] | None
    records: tuple[tuple[str, int, int, str | bytes], ...]
    edns: bool
    size: int

    @property
    def data(self) -> list[str | bytes]:
        return [record[3] for record in self.records]


def wire_name(name: str) -> bytes:
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(
    name: str, type: int = A, *, id: int | None = None, edns: int = 0, kind: int = 1, version: int = 0
) -> bytes:
    """A question that asks for recursion; `edns` is the size of answers that the client takes."""
    number = secrets.randbits(16) if id is None else id
    head = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 1 if edns else 0)
    opt = b"\0" + struct.pack("!HHIH", OPT, edns, version << 16, 0) if edns else b""
    return head + wire_name(name) + struct.pack("!HH", type, kind) + opt


def parse(raw: bytes) -> Answer:
    """Read an answer; AssertionError or IndexError where it breaks the rules."""
    id, flags, questions, answers, authorities, additions = struct.unpack_from("!HHHHHH", raw)
    assert flags & 0x8000
    offset, asked = 12, None
    if questions:
        name, offset = _name(raw, offset)
        asked = (name, *struct.unpack_from("!HH", raw, offset))
        offset += 4
    records, edns, code = [], False, flags & 15
    for _ in range(answers + authorities + additions):
        name, offset = _name(raw, offset)
        type, _, ttl, length = struct.unpack_from("!HHIH", raw, offset)
        offset += 10
        if type == OPT:
            edns, code = True, code | ttl >> 24 << 4
        else:
            records.append((name, type, ttl, _data(raw, offset, length, type)))
        offset += length
    assert offset == len(raw)
    return Answer(id, code, bool(flags & 0x200), bool(flags & 0x80), asked, tuple(records), edns, len(raw))


def _name(raw: bytes, offset: int) -> tuple[str, int]:
    labels: list[str] = []
    while length := raw[offset]:
        if length & 0xC0:
            rest, _ = _name(raw, int.from_bytes(raw[offset : offset + 2], "big") & 0x3FFF)
            return ".".join([*labels, rest]), offset + 2
        labels.append(raw[offset + 1 : offset + 1 + length].decode("latin-1"))
        offset += 1 + length
    return ".".join(labels), offset + 1


def _data(raw: bytes, offset: int, length: int, type: int) -> str | bytes:
    if type == PTR:
        return _name(raw, offset)[0]
    if type in (A, AAAA):
        return str(ipaddress.ip_address(raw[offset : offset + length]))
    return raw[offset : offset + length]


def ask_raw(raw: bytes, *, tcp: bool = False, timeout: float = 10, server: tuple[str, int] = (SERVER, 53)) -> bytes:
    """Send `raw` from the present network namespace, and return the answer. Raise TimeoutError without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        client.connect(server)
        if not tcp:
            client.send(raw)
            return client.recv(65535)
        client.sendall(len(raw).to_bytes(2, "big") + raw)
        return receive_framed(client)


def receive_framed(client: socket.socket) -> bytes:
    """The next message of a TCP connection."""
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
        piece = client.recv(65537)
        if not piece:
            raise EOFError("the server closed the connection")
        data += piece
    return data[2:]


def ask(name: str, type: int = A, *, tcp: bool = False, edns: int = 0, timeout: float = 10) -> Answer:
    """What the server of the present network namespace says; checks that it answers this question."""
    raw = question(name, type, edns=edns)
    answer = parse(ask_raw(raw, tcp=tcp, timeout=timeout))
    assert answer.id == int.from_bytes(raw[:2], "big")
    assert answer.question is not None
    assert answer.question[0].lower() == name.rstrip(".").lower()
    return answer


def reverse(address: str) -> str:
    """The name that is asked for the name of an address."""
    return ipaddress.ip_address(address).reverse_pointer
