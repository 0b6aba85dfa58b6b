"""What bounds the processes that strangers talk to: keys by their last use, and complaints that do not fill the log."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


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

    def __init__(self, log: logging.Logger, quiet: float) -> None:
        self._log = log
        self._quiet = quiet
        self._kinds: dict[str, tuple[float, int]] = {}  # when it was logged last, and how many came since

    def add(self, kind: str, now: float) -> None:
        """Complain. `kind` is a whole sentence; it must not hold what strangers choose, such as their addresses."""
        last, more = self._kinds.get(kind, (-self._quiet, 0))
        if now - last < self._quiet:
            self._kinds[kind] = (last, more + 1)
            return
        self._log.warning("%s", kind if not more else f"{kind} ({more + 1} times)")
        self._kinds[kind] = (now, 0)

    def sweep(self, now: float) -> None:
        """Log how often each complaint came up in a quiet period that is over, and forget these complaints."""
        for kind, (last, more) in list(self._kinds.items()):
            if now - last >= self._quiet:
                if more:
                    self._log.warning("%s (%d times more)", kind, more)
                del self._kinds[kind]
