"""Layers that live outside registries: their descriptors carry URLs (image-spec, "Non-Distributable Layers")."""

from __future__ import annotations

import urllib3

from lamina.cancellation import Cancellation
from lamina.distribution.answers import connection_failure, failure
from lamina.distribution.download import CHUNK, Partial, Progress, download
from lamina.distribution.interrupt import hang_up
from lamina.distribution.repository import Repository
from lamina.distribution.transport import drain
from lamina.errors import Corrupt, LaminaError, NotFound
from lamina.formats.descriptor import Descriptor


def download_foreign(
    repository: Repository, blob: Descriptor, into: Partial, progress: Progress, cancellation: Cancellation
) -> None:
    """Fetch a foreign layer: from the registry where it has it all the same, else from the first URL that works."""
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
    """One attempt, without any of the registry's secrets; bytes that are here already are asked for no more."""
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
