"""The registry's parts, put together: what every handler works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lamina.progress import ignore
from lamina.registry.access_log import Write
from lamina.registry.config import Config
from lamina.registry.hooks import Notify
from lamina.registry.metadata.database import Database
from lamina.registry.metrics import Metrics
from lamina.registry.pull_times import Pulls
from lamina.registry.storage.protocol import Storage

if TYPE_CHECKING:
    from lamina.registry.auth.gates import Gate
    from lamina.registry.auth.tokens import TokenEndpoint
    from lamina.registry.proxy_cache import ProxyCache


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
