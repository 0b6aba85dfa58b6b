"""Leases: content in the making is not collected before something refers to it.

They live in memory: the process that holds them is the only one that collects. After a crash what they held is
without an owner, and goes with the next full collect.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType

from lamina.formats.digest import Digest

_current: ContextVar[Lease | None] = ContextVar("lamina_lease", default=None)


class Lease:
    """Holds digests until it is left, or `ttl` seconds after it was taken. Used as a context manager.

    Content that the same thread (or asyncio task) finishes inside the block is held by itself; work handed to
    other threads calls `add`. On leaving, what nothing owns by then is removed, but not after a failure when
    `keep` is true; inside another lease it passes to that one.
    """

    def __init__(self, leases: Leases, ttl: float, on_end: Callable[[set[str]], None], *, keep: bool) -> None:
        self._leases = leases
        self._on_end = on_end
        self.keep = keep
        self._before: Lease | None = None  # of any store
        self._outer: Lease | None = None
        self.expires = time.monotonic() + ttl
        self.digests: set[str] = set()

    def add(self, digest: Digest) -> bool:
        """Hold `digest` from now on. Return whether it is in the store, and so will stay there."""
        return self._leases.hold(self, str(digest))

    def __enter__(self) -> Lease:
        self._before = _current.get()
        self._outer = self._leases.present()
        _current.set(self)
        self._leases.admit(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.set(self._before)
        self._leases.dismiss(self, heir=self._outer)
        spared = self.keep and error is not None
        if self._outer is None and not spared and self.digests:
            self._on_end(self.digests)


class Leases:
    """All leases of one store. `lock` is held by the collector from its look at the leases until its commit."""

    def __init__(self, present: Callable[[str], bool]) -> None:
        self.lock = threading.RLock()
        self._present = present
        self._live: set[Lease] = set()

    def admit(self, lease: Lease) -> None:
        """Count a lease that has begun."""
        with self.lock:
            self._live.add(lease)

    def dismiss(self, lease: Lease, heir: Lease | None) -> None:
        """Forget a lease. Pass what it held to `heir`, the lease around it, where there is one."""
        with self.lock:
            self._live.discard(lease)
            if heir is not None:
                heir.digests |= lease.digests

    def hold(self, lease: Lease, digest: str) -> bool:
        """Let `lease` hold a digest. Return whether the content is there."""
        with self.lock:
            lease.digests.add(digest)
            return self._present(digest)

    def hold_new(self, digest: str) -> None:
        """Hold content that is about to appear under the present lease, where there is one."""
        lease = self.present()
        if lease is not None:
            with self.lock:
                lease.digests.add(digest)

    def present(self) -> Lease | None:
        """Return the innermost lease on this store that the caller is inside of."""
        lease = _current.get()
        while lease is not None and lease._leases is not self:
            lease = lease._before
        return lease

    def held(self) -> set[str]:
        """Return every digest under a lease that is still good. Call it with `lock` held."""
        now = time.monotonic()
        return {digest for lease in self._live if lease.expires > now for digest in lease.digests}
