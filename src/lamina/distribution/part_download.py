"""A large blob by several requests at once, where one connection does not fill the line: distant registries.

Parts are requested side by side and written in order, so what is written is always a beginning of the blob, from
which a later try goes on. The parts that are under way are in memory.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from lamina.cancellation import Cancellation
from lamina.distribution.repository import Repository
from lamina.errors import RateLimited, Unavailable, Unsupported
from lamina.formats.descriptor import Descriptor

LARGE = 16  # parts; a smaller blob is fetched whole


class Sink(Protocol):
    """What parts are written to, at its end."""

    size: int

    def write(self, data: bytes, /) -> int: ...


def download_parts(
    repository: Repository,
    blob: Descriptor,
    into: Sink,
    progress: Callable[[int], None],
    cancellation: Cancellation,
) -> None:
    """Write what `into` lacks of a large `blob`, as far as the registry sends parts and connections hold.

    The first part comes alone. It tells whether the registry sends parts, and whether one connection is fast enough.
    The caller fetches the rest, and checks the digest. Raise Corrupt for another part than was asked for, Cancelled,
    and the kinds of `answer_errors`, but not Unavailable or RateLimited.
    """
    settings = repository.transport.settings
    size, first = settings.download_part, into.size
    if blob.size - first < LARGE * size or settings.parts_at_once < 2:
        return
    starts = iter(range(first, blob.size, size))
    under_way: deque[Future[list[bytes]]] = deque()
    with suppress(Unsupported, Unavailable, RateLimited):
        with ThreadPoolExecutor(settings.parts_at_once, "part") as threads, cancellation.child() as stop:

            def ask(most: int) -> None:
                while len(under_way) < most and (start := next(starts, None)) is not None:
                    length = min(size, blob.size - start)
                    under_way.append(threads.submit(repository.read_pieces, blob.digest, start, length, stop))

            begin = time.monotonic()
            ask(1)
            while under_way:
                for piece in under_way[0].result():
                    into.write(piece)
                under_way.popleft()
                progress(into.size)
                if into.size == first + size and size > settings.fast_line * (time.monotonic() - begin):
                    return
                ask(settings.parts_at_once)
