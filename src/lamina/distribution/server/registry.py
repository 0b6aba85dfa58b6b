"""The registry's parts, put together: what every handler works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lamina.distribution.server.accesslog import Write, nothing
from lamina.distribution.server.config import Config
from lamina.distribution.server.hooks import Notify, silent
from lamina.distribution.server.metadata.database import Database
from lamina.distribution.server.metrics import Metrics
from lamina.distribution.server.pulls import Pulls
from lamina.distribution.server.storage.protocol import Storage

if TYPE_CHECKING:
    from lamina.distribution.server.auth.gate import Gate
    from lamina.distribution.server.auth.tokens import TokenEndpoint
    from lamina.distribution.server.through import Through


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
    log: Write = nothing
    through: Through | None = None
    notify: Notify = silent
    now: Callable[[], float] = time.time
