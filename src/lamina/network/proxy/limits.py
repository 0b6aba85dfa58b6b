"""What strangers who connect to published ports may use up of the proxy."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of connections (TCP) and conversations (UDP), for one port and for all; times in seconds.

    A connection costs two descriptors and at most 64 KiB of memory, a conversation one descriptor.
    """

    port_connections: int = 1024
    connections: int = 4096
    port_conversations: int = 1024
    conversations: int = 4096
    connect: float = 10.0
    idle_connection: float = 7200.0  # tcp(7): the time after which the kernel doubts a silent connection
    yielding_connection: float = 60.0  # silent for so long, it gives way to a new one when there is no more room
    idle_conversation: float = 90.0  # as Docker's proxy
    unanswered_conversation: float = 30.0  # as the kernel's connection tracking
    quiet: float = 60.0  # between two lines of the log about the same thing

    def within(self, descriptors: int) -> Limits:
        """Return limits that leave more than half of the process's `descriptors` to the ports themselves."""
        most = max(1, descriptors // 8)
        return Limits(
            **asdict(self)
            | {
                "port_connections": min(self.port_connections, most),
                "connections": min(self.connections, most),
                "port_conversations": min(self.port_conversations, most),
                "conversations": min(self.conversations, most),
            }
        )

    def encode(self) -> str:
        """Return the limits as JSON, for `decode`."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Limits:
        """Return the limits that `encode` wrote."""
        return cls(**json.loads(text))
