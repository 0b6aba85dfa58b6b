"""When manifests were last pulled, for retention: gathered in memory and written in batches, so that no GET waits."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from lamina.errors import LaminaError
from lamina.registry.metadata import manifests
from lamina.registry.metadata.database import Database

_log = logging.getLogger(__name__)
DELAY = 30.0  # seconds; a crash forgets the pulls of so long, which retention in days does not feel
_BATCH = 500  # rows in one transaction
_MOST = 100_000  # manifests that wait; further ones are not noted while the database does not answer


class Pulls:
    """Notes pulls; `close` writes what waits, and may be called twice. For one event loop."""

    def __init__(self, database: Database, delay: float = DELAY) -> None:
        self._database = database
        self._delay = delay
        self._waiting: dict[tuple[str, str], float] = {}
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def note(self, repository: str, digest: str, now: float) -> None:
        """Note that a manifest is being pulled; `now` is in seconds since the epoch."""
        if len(self._waiting) < _MOST:
            self._waiting[repository, digest] = now
        if self._task is None:
            self._task = asyncio.create_task(self._flush_later())

    async def flush(self) -> None:
        """Write the noted pulls. Keep those that cannot be written now."""
        waiting, self._waiting = self._waiting, {}
        rows = sorted((*key, when) for key, when in waiting.items())  # in order: replicas must not lock crosswise
        try:
            for first in range(0, len(rows), _BATCH):
                await self._database.write(manifests.note_pulls, rows[first : first + _BATCH])
        except LaminaError as error:
            _log.warning("pulls could not be noted and will be later: %s", error)
            self._waiting = waiting | self._waiting

    async def close(self) -> None:
        self._closing.set()
        if self._task is not None:
            await self._task
        if self._waiting:
            await self.flush()

    async def _flush_later(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), self._delay)
        await self.flush()
        self._task = None
        if self._waiting and not self._closing.is_set():
            self._task = asyncio.create_task(self._flush_later())
