"""The use of resources by containers, read once a second for all clients that watch the same container."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from lamina.containers.statistics import ContainerStats
from lamina.daemon.http.call import dump
from lamina.daemon.render.stats import stats
from lamina.errors import NotFound

SECOND = 1.0

Read = Callable[[], Awaitable[ContainerStats]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading as a line of JSON. `compared` is true if it includes the reading before, or if nothing runs."""

    line: bytes
    compared: bool


class Samplers:
    """One sampler for each container with a watching client. For the event loop's thread only."""

    def __init__(self) -> None:
        self._samplers: dict[str, _Sampler] = {}

    async def watch(self, id: str, read: Read) -> AsyncGenerator[Sample, None]:
        """Yield the newest reading of container `id`, then each further one, until the container is removed. A reader
        that is slow misses some. Raise what `read` raises."""
        sampler = self._samplers.get(id)
        if sampler is None:
            sampler = self._samplers[id] = _Sampler(read)
        sampler.readers += 1
        try:
            async with aclosing(sampler.samples()) as samples:
                async for sample in samples:
                    yield sample
        finally:
            sampler.readers -= 1
            if not sampler.readers:
                sampler.stop()
                del self._samplers[id]


class _Sampler:
    """Reads until `stop`, or until the container is removed."""

    def __init__(self, read: Read) -> None:
        self.readers = 0
        self._read = read
        self._newest: Sample | None = None
        self._change = asyncio.Event()  # replaced with each reading
        self._reading = asyncio.ensure_future(self._run())

    def stop(self) -> None:
        self._reading.cancel()

    async def samples(self) -> AsyncGenerator[Sample, None]:
        last = None
        while True:
            change = self._change
            if self._newest is not None and self._newest is not last:
                last = self._newest
                yield last
            elif self._reading.done():
                self._reading.result()  # raises what the reading raised
                return
            else:
                await change.wait()

    async def _run(self) -> None:
        before: ContainerStats | None = None
        try:
            while True:
                now = await self._read()
                line = dump(stats(replace(now, previous=before)))
                self._newest = Sample(line, compared=before is not None or now.usage is None)
                before = now
                self._tell()
                await asyncio.sleep(SECOND)
        except NotFound:  # the container was removed
            return
        finally:
            asyncio.get_running_loop().call_soon(self._tell)  # when this task is done

    def _tell(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()
