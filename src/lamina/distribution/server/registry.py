"""The registry's parts, put together: what every handler works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lamina.distribution.server.accesslog import Write, nothing
from lamina.distribution.server.config import Config
from lamina.distribution.server.globs import matches
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

    def quota(self, repository: str) -> int | None:
        """The bytes a repository may have, or None for any number; the first pattern that fits counts."""
        fitting = (limit for pattern, limit in self.config.quotas.items() if matches(pattern, repository))
        return next(fitting, None)

    def is_immutable(self, repository: str, tag: str) -> bool:
        """Whether a tag may not be moved once it is there."""
        return any(
            matches(pattern, repository) and any(fnmatchcase(tag, wanted) for wanted in tags)
            for pattern, tags in self.config.immutable_tags.items()
        )
