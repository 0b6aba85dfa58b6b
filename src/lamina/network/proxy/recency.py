"""Keeping a bounded number of things, of which those unused for longest go first."""

from __future__ import annotations

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
