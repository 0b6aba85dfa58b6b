"""What strangers who connect to published ports may use up of the proxy, and what bounds it: memory and the log."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import asdict, dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
_LOG = logging.getLogger("lamina.network.proxy")


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


class Recency(Generic[K]):
    """Keys in the order of their last use. Times are those of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._used: OrderedDict[K, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def __contains__(self, key: K) -> bool:
        return key in self._used

    def use(self, key: K, now: float) -> None:
        """Make `key`, new or not, the one used last."""
        self._used[key] = now
        self._used.move_to_end(key)

    def discard(self, key: K) -> None:
        """Forget `key`; one that is not kept is ignored."""
        self._used.pop(key, None)

    def oldest(self) -> tuple[K, float] | None:
        """Return the key unused for longest with the time of its use; None where there is none."""
        return next(iter(self._used.items()), None)

    def unused_since(self, then: float) -> Iterator[K]:
        """Yield the keys not used after `then`, oldest first. Each must be discarded before the next is asked for."""
        while (oldest := self.oldest()) is not None and oldest[1] <= then:
            yield oldest[0]


class Complaints:
    """Complaints by kind: the first is logged at once, those of the next `quiet` seconds as one number."""

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._kinds: dict[str, tuple[float, int]] = {}  # when it was logged last, and how many came since

    def add(self, kind: str, now: float) -> None:
        """Complain. `kind` is a whole sentence; it must not hold what strangers choose, such as their addresses."""
        last, more = self._kinds.get(kind, (-self._quiet, 0))
        if now - last < self._quiet:
            self._kinds[kind] = (last, more + 1)
            return
        _LOG.warning("%s", kind if not more else f"{kind} ({more + 1} times)")
        self._kinds[kind] = (now, 0)

    def sweep(self, now: float) -> None:
        """Log how often each complaint came up in a quiet period that is over, and forget these complaints."""
        for kind, (last, more) in list(self._kinds.items()):
            if now - last >= self._quiet:
                if more:
                    _LOG.warning("%s (%d times more)", kind, more)
                del self._kinds[kind]
