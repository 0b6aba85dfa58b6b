"""How much went through a container's interfaces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_SYS = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class Counters:
    """Bytes and packets since the interface was made, as the container sees them: received is what came to it."""

    received_bytes: int = 0
    received_packets: int = 0
    received_errors: int = 0
    received_dropped: int = 0
    sent_bytes: int = 0
    sent_packets: int = 0
    sent_errors: int = 0
    sent_dropped: int = 0


def read(host_interface: str) -> Counters:
    """From the host's end of the pair, where directions are the other way round. What is gone counts as zero."""
    names = ("bytes", "packets", "errors", "dropped")
    received = [_number(host_interface, f"tx_{name}") for name in names]
    sent = [_number(host_interface, f"rx_{name}") for name in names]
    return Counters(*received, *sent)


def _number(interface: str, name: str) -> int:
    try:
        return int((_SYS / interface / "statistics" / name).read_text())
    except (OSError, ValueError):
        return 0
