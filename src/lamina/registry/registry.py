"""The registry's parts, put together: what every handler works with."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lamina.progress import ignore
from lamina.registry.access_log import Write
from lamina.registry.config import Config
from lamina.registry.hooks import Notify
from lamina.registry.metadata.database import Database
from lamina.registry.pull_times import Pulls
from lamina.registry.storage.protocol import Storage

if TYPE_CHECKING:
    from lamina.registry.auth.gates import Gate
    from lamina.registry.auth.tokens import TokenEndpoint
    from lamina.registry.proxy_cache import ProxyCache


_BOUNDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)  # seconds


class Metrics:
    """Count requests by operation, method and status, their time and their bytes. For one event loop.

    They are shown in Prometheus' text format.
    """

    def __init__(self) -> None:
        self._requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))
        self._bytes: defaultdict[str, int] = defaultdict(int)
        self.in_flight = 0

    def count(self, operation: str, method: str, status: int, seconds: float, received: int, sent: int) -> None:
        """Note a finished request."""
        self._requests[operation, method, status] += 1
        self._seconds[operation] += seconds
        place = next((n for n, bound in enumerate(_BOUNDS) if seconds <= bound), len(_BOUNDS))
        self._buckets[operation][place] += 1
        self._bytes["received"] += received
        self._bytes["sent"] += sent

    def render(self) -> bytes:
        """Return all of it as text."""
        lines = ["# TYPE lamina_registry_requests_total counter"]
        for (operation, method, status), number in sorted(self._requests.items()):
            labels = f'operation="{operation}",method="{method}",status="{status}"'
            lines.append(f"lamina_registry_requests_total{{{labels}}} {number}")
        lines.append("# TYPE lamina_registry_request_seconds histogram")
        for operation, buckets in sorted(self._buckets.items()):
            lines += self._histogram(operation, buckets)
        lines.append("# TYPE lamina_registry_bytes_total counter")
        lines += [f'lamina_registry_bytes_total{{direction="{d}"}} {n}' for d, n in sorted(self._bytes.items())]
        lines += ["# TYPE lamina_registry_requests_in_flight gauge"]
        lines += [f"lamina_registry_requests_in_flight {self.in_flight}", ""]
        return "\n".join(lines).encode()

    def _histogram(self, operation: str, buckets: list[int]) -> list[str]:
        name, total, lines = "lamina_registry_request_seconds", 0, []
        for bound, number in zip((*map(str, _BOUNDS), "+Inf"), buckets, strict=True):
            total += number
            lines.append(f'{name}_bucket{{operation="{operation}",le="{bound}"}} {total}')
        lines.append(f'{name}_sum{{operation="{operation}"}} {self._seconds[operation]:.6f}')
        lines.append(f'{name}_count{{operation="{operation}"}} {total}')
        return lines


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that requests share."""

    config: Config
    database: Database
    storage: Storage
    gate: Gate
    pulls: Pulls
    tokens: TokenEndpoint | None = None
    metrics: Metrics = field(default_factory=Metrics)
    log: Write = ignore
    proxy_cache: ProxyCache | None = None
    notify: Notify = ignore
    now: Callable[[], float] = time.time
