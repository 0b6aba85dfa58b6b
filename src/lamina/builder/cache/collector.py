"""Keeping the cache below its limits: looked at after builds, at most once a minute."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from lamina.api.build_cache import CacheLimits
from lamina.builder.cache.usage import CacheUsage
from lamina.errors import LaminaError

_LOG = logging.getLogger("lamina.builder")
_PAUSE = 60.0  # seconds: to measure the cache means to look at every file of its mounts


class Collector:
    """Collects garbage of one cache. Thread-safe; of calls at once only one works."""

    def __init__(
        self, cache: CacheUsage, limits: CacheLimits | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cache = cache
        self._limits = limits
        self._clock = clock
        self._due = -_PAUSE
        self._guard = threading.Lock()

    def collect(self) -> None:
        """Prune down to the limits if it is time. What fails is logged: the build that has ended is not to blame."""
        if self._limits is None or self._clock() < self._due or not self._guard.acquire(blocking=False):
            return
        try:
            pruned = self._cache.prune({}, self._limits)
            if pruned.digests:
                _LOG.info("the build cache was above its limit: %d objects went", len(pruned.digests))
        except (LaminaError, OSError) as error:
            _LOG.warning("the build cache cannot be collected: %s", error)
        finally:
            self._due = self._clock() + _PAUSE
            self._guard.release()
