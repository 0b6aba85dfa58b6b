"""Builds by the IDs that clients give them: to cancel one, and to bring its context in a request of its own.

Rule: moby, builder/builder-next, Build and Cancel. A client that has no folder to offer sends `/build` twice: once
with the context as its body, under the ID with a prefix, and once for the build.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lamina.cancellation import Cancellation
from lamina.daemon.http.upload import Upload
from lamina.errors import NotFound

UPLOAD = "upload-request"
_PATIENCE = 5.0  # seconds that each of the two requests waits for the other


@dataclass(slots=True)
class Job:
    """One build. `upload` is its context, once it comes; `done` is set when the build needs it no more."""

    cancellation: Cancellation | None = None
    upload: asyncio.Future[Upload] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    began: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Jobs:
    """The builds under way that have an ID. It belongs to the event loop."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    @contextmanager
    def enter(self, id: str, cancellation: Cancellation) -> Iterator[Job]:
        """Make a build known by its ID while the block runs. Without one nobody finds it."""
        job = self._jobs.setdefault(id, Job()) if id else Job()
        job.cancellation = cancellation
        job.began.set()
        try:
            yield job
        finally:
            job.done.set()
            if self._jobs.get(id) is job:
                del self._jobs[id]

    def cancel(self, id: str) -> None:
        """Cancel a build. Ignore an ID that no build has: it may have ended just now."""
        job = self._jobs.get(id)
        if job is not None and job.cancellation is not None:
            job.cancellation.cancel("the client cancelled the build")

    async def bring(self, id: str, upload: Upload) -> None:
        """Hand a context to its build, and return when the build has ended. Raise NotFound if none comes for it."""
        job = self._jobs.setdefault(id, Job())
        if not job.upload.done():
            job.upload.set_result(upload)
        try:
            async with asyncio.timeout(_PATIENCE):
                await job.began.wait()
        except TimeoutError:
            if self._jobs.get(id) is job:
                del self._jobs[id]
            raise NotFound(f"no build came for the context {id}") from None
        await job.done.wait()

    async def fetch(self, job: Job) -> Upload:
        """Return the context of a build. Raise NotFound if none comes."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.shield(job.upload)
        except TimeoutError:
            raise NotFound("the build's context was not sent") from None
