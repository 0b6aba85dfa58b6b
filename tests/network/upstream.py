"""A DNS server to forward to, on an address of the present network namespace, that does what a test wants."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from support import dns

Behaviour = Callable[[bytes], bytes | None]


@dataclass
class Upstream:
    """A server that answers with what `behave` makes of each question; None is no answer. It counts questions."""

    behave: Behaviour
    by_udp: list[bytes] = field(default_factory=list)
    by_tcp: list[bytes] = field(default_factory=list)

    def answer_datagrams(self, server: socket.socket) -> None:
        while True:
            raw, client = server.recvfrom(65535)
            if not raw:
                return
            self.by_udp.append(raw)
            if (answer := self.behave(raw)) is not None:
                server.sendto(answer, client)

    def answer_streams(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, suppress(OSError, EOFError):
                    raw = dns.receive_framed(connection)
                    self.by_tcp.append(raw)
                    if (answer := self.behave(raw)) is not None:
                        connection.sendall(len(answer).to_bytes(2, "big") + answer)


def answer_with(*addresses: str, code: int = dns.NOERROR, flags: int = 0) -> Callable[[bytes], bytes]:
    """Answer every question with addresses."""

    def behave(raw: bytes) -> bytes:
        end = raw.index(b"\0", 12) + 5
        head = struct.pack("!HHHHHH", int.from_bytes(raw[:2], "big"), 0x8180 | flags | code, 1, len(addresses), 0, 0)
        records = (
            b"\xc0\x0c" + struct.pack("!HHIH", dns.A, 1, 60, 4) + socket.inet_aton(address) for address in addresses
        )
        return head + raw[12:end] + b"".join(records)

    return behave


@contextmanager
def upstream(address: str, behave: Behaviour) -> Iterator[Upstream]:
    """A server at port 53 of an address of the present network namespace, which gets it where it has it not."""
    present = subprocess.run(["ip", "-o", "addr"], check=True, capture_output=True, text=True).stdout
    if f" {address}/" not in present and not address.startswith("127."):
        subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
    server = Upstream(behave)
    with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for bound in (udp, tcp):
            bound.bind((address, 53))
        tcp.listen()
        threads = [
            threading.Thread(target=server.answer_datagrams, args=(udp,)),
            threading.Thread(target=server.answer_streams, args=(tcp,)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield server
        finally:
            tcp.shutdown(socket.SHUT_RDWR)
            udp.sendto(b"", (address, 53))
            for thread in threads:
                thread.join()
