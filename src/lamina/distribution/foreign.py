"""Layers that live outside registries: their descriptors carry URLs (image-spec, "Non-Distributable Layers")."""

from __future__ import annotations

import threading

import urllib3

from lamina.distribution.answers import connection_failure, failure
from lamina.distribution.download import CHUNK, Partial, Progress, download
from lamina.distribution.registry import Repository
from lamina.distribution.transport import drain
from lamina.errors import Cancelled, Corrupt, LaminaError, NotFound
from lamina.formats.descriptor import Descriptor


def download_foreign(
    repository: Repository, blob: Descriptor, into: Partial, progress: Progress, cancelled: threading.Event
) -> None:
    """Fetch a foreign layer: from the registry where it has it all the same, else from the first URL that works."""
    try:
        download(repository, blob, into, progress, cancelled)
        return
    except NotFound as error:
        problem: LaminaError = error
    for url in blob.urls:
        try:
            _from_url(repository, url, blob, into, progress, cancelled)
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
    cancelled: threading.Event,
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
        while piece := answer.read1(CHUNK):
            if cancelled.is_set():
                raise Cancelled("The download was stopped")
            into.write(piece)
            if into.size > blob.size:
                into.restart()
                raise Corrupt(f"{blob.digest} has more than {blob.size} bytes at its URL", expected=blob.digest)
            progress(into.size)
    except urllib3.exceptions.HTTPError as error:
        raise connection_failure(url, error) from error
