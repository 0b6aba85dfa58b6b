"""What a hostile container or neighbour sends: connections without pause, forged frames."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lamina.network.namespaces import inside

_PROGRAM = Path(__file__).with_name("intruder.py")
_ALL_NODES = "33:33:00:00:00:01"


def command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@dataclass
class Attempts:
    entered: int = 0
    tried: int = 0


@contextmanager
def intruder(namespace: str, host: str, port: int) -> Iterator[Attempts]:
    """Have a program in a network namespace connect without pause; what came of it is known after the block."""
    line = ["nsenter", f"--net={namespace}", sys.executable, str(_PROGRAM), host, str(port)]
    attempts = Attempts()
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        yield attempts
        printed, _ = program.communicate()
    attempts.entered, attempts.tried = map(int, printed.split())


def route_loopback_through(namespace: str, address: str, gateway: str) -> None:
    """Have a namespace send packets for a loopback address to `gateway`, and take the answers; kernels do neither."""
    inside = ("nsenter", f"--net={namespace}")
    command(*inside, "ip", "addr", "flush", "dev", "lo")
    command(*inside, "ip", "route", "add", f"{address}/32", "via", gateway)
    command(*inside, "sysctl", "-q", "-w", "net.ipv4.conf.eth0.route_localnet=1")


@dataclass(frozen=True)
class Wire:
    """A container's interface as a raw socket sees it (a container may: it has CAP_NET_RAW)."""

    namespace: Path
    interface: str = "eth0"

    def send(self, frame: bytes) -> None:
        with inside(self.namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((self.interface, 0))
            raw.send(frame)


def udp_frame(source: tuple[str, int], target: tuple[str, int], data: bytes, *, to: str, mac: str) -> bytes:
    """An Ethernet frame to the MAC address `to` with a UDP datagram; all of its source may be a lie."""
    ipv6 = ":" in target[0]
    ends = b"".join(socket.inet_pton(socket.AF_INET6 if ipv6 else socket.AF_INET, host) for host, _ in (source, target))
    length = 8 + len(data)
    datagram = struct.pack("!HHHH", source[1], target[1], length, 0) + data
    if ipv6:
        checksum = _checksum(ends + struct.pack("!II", length, socket.IPPROTO_UDP) + datagram)
        datagram = datagram[:6] + struct.pack("!H", checksum) + data
        packet = struct.pack("!IHBB", 6 << 28, length, socket.IPPROTO_UDP, 64) + ends + datagram
        return _mac(to) + _mac(mac) + b"\x86\xdd" + packet
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, socket.IPPROTO_UDP, 0) + ends
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    return _mac(to) + _mac(mac) + b"\x08\x00" + head + datagram


def router_advertisement(mac: str, prefix: str) -> bytes:
    """A frame that offers its sender as the way out, with a /64 of addresses to choose one from (RFC 4861, 4.2)."""
    source = socket.inet_pton(socket.AF_INET6, "fe80::bad")
    everybody = socket.inet_pton(socket.AF_INET6, "ff02::1")
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    message += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + socket.inet_pton(socket.AF_INET6, prefix)
    message += struct.pack("!BB", 1, 1) + _mac(mac)
    pseudo = source + everybody + struct.pack("!II", len(message), socket.IPPROTO_ICMPV6)
    message = message[:2] + struct.pack("!H", _checksum(pseudo + message)) + message[4:]
    head = struct.pack("!IHBB", 6 << 28, len(message), socket.IPPROTO_ICMPV6, 255)
    return _mac(_ALL_NODES) + _mac(mac) + b"\x86\xdd" + head + source + everybody + message


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
