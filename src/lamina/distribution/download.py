"""Blobs on their way in: connections may break, written bytes are never fetched twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import urllib3

from lamina.cancellation import Cancellation
from lamina.distribution.answer_errors import connection_failure, failure
from lamina.distribution.headers import parse_offsets
from lamina.distribution.interrupt import hang_up
from lamina.distribution.part_download import download_parts
from lamina.distribution.repository import CHUNK, Repository
from lamina.distribution.transport import Answer, drain
from lamina.errors import Corrupt, LaminaError, NotFound, Unavailable
from lamina.formats.descriptor import Descriptor

Progress = Callable[[int], None]  # gets the number of bytes that are here


class Partial(Protocol):
    """Where the bytes go: a store's resumable ingest."""

    size: int

    def write(self, data: bytes, /) -> int: ...
    def restart(self) -> None: ...


def download(
    repository: Repository, blob: Descriptor, into: Partial, progress: Progress, cancellation: Cancellation
) -> None:
    """Fetch what `into` does not have yet of `blob`. Go on after broken connections as long as bytes keep coming.

    A large blob comes in parts, several at once, until a connection breaks: from there on by one connection. The
    caller checks the digest. Raise Unavailable when `Retry.attempts` connections in a row brought nothing, Corrupt
    where the registry sends other bytes than were asked for or more than there should be, Cancelled, and the kinds of
    `answer_errors`.
    """
    fruitless = 0
    if into.size > blob.size:
        into.restart()
    download_parts(repository, blob, into, progress, cancellation)
    while into.size < blob.size:
        before = into.size
        answer = _from_where_we_are(repository, blob, into)
        try:
            _copy(answer, into, blob, progress, cancellation)
            cancellation.check()
            broken: Exception = Unavailable(f"The connection ended {blob.size - into.size} bytes early")
        except urllib3.exceptions.HTTPError as error:
            cancellation.check()
            broken = connection_failure(repository.transport.endpoint.base, error)
        finally:
            drain(answer)
        fruitless = 0 if into.size > before else fruitless + 1
        patience = repository.transport.settings.retry
        if fruitless >= patience.attempts:
            raise broken
        if into.size < blob.size and fruitless:
            patience.pause(cancellation, fruitless)


def _from_where_we_are(repository: Repository, blob: Descriptor, into: Partial) -> Answer:
    answer = repository.open_blob(blob.digest, into.size)
    if into.size:
        offsets = parse_offsets(answer.headers.get("Content-Range"))
        if answer.status == 200 or offsets is None or offsets[0] != into.size:
            into.restart()
            if answer.status != 200:
                drain(answer)
                answer = repository.open_blob(blob.digest)
    return answer


def _copy(answer: Answer, into: Partial, blob: Descriptor, progress: Progress, cancellation: Cancellation) -> None:
    with cancellation.on_cancel(lambda: hang_up(answer.connection)):
        while piece := answer.read1(CHUNK):
            cancellation.check()
            if into.size + len(piece) > blob.size:
                into.restart()
                more = f"{blob.digest} has more than the {blob.size} bytes its manifest says"
                raise Corrupt(more, expected=blob.digest)
            into.write(piece)
            progress(into.size)


def download_foreign(
    repository: Repository, blob: Descriptor, into: Partial, progress: Progress, cancellation: Cancellation
) -> None:
    """Fetch a foreign layer: from the registry if it has the layer, else from the first URL that works."""
    try:
        download(repository, blob, into, progress, cancellation)
        return
    except NotFound as error:
        problem: LaminaError = error
    for url in blob.urls:
        try:
            _from_url(repository, url, blob, into, progress, cancellation)
            return
        except (NotFound, Corrupt) as error:
            problem = error
    raise problem


def _from_url(
    repository: Repository,
    url: str,
    blob: Descriptor,
    into: Partial,
    progress: Progress,
    cancellation: Cancellation,
) -> None:
    """Try one URL, without the registry's secrets. Request only the bytes that are still missing."""
    transport = repository.transport
    if into.size >= blob.size:
        return
    headers = {"Range": f"bytes={into.size}-"} if into.size else {}
    try:
        answer = transport.request("GET", url, headers=headers, accept=range(200, 600))
        if answer.status not in (200, 206):
            drain(answer)
            raise failure("GET", url, answer.status, answer.headers, b"")
        if answer.status == 200 and into.size:
            into.restart()
        with cancellation.on_cancel(lambda: hang_up(answer.connection)):
            while piece := answer.read1(CHUNK):
                cancellation.check()
                into.write(piece)
                if into.size > blob.size:
                    into.restart()
                    raise Corrupt(f"{blob.digest} has more than {blob.size} bytes at its URL", expected=blob.digest)
                progress(into.size)
    except urllib3.exceptions.HTTPError as error:
        cancellation.check()
        raise connection_failure(url, error) from error
