"""Copying from registry to registry: the same bytes, all platforms, and on request all that refers to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import urllib3

from lamina.cancellation import Cancellation
from lamina.distribution.pull import MAX_INDEX_DEPTH, child
from lamina.distribution.registry_client import RegistryClient
from lamina.distribution.repository import Repository
from lamina.distribution.spool import Spool
from lamina.distribution.upload import mount, upload
from lamina.errors import InvalidInput, LaminaError
from lamina.formats.descriptor import FOREIGN_LAYERS, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.formats.reference import Reference
from lamina.progress import Report, Status, ignore

__all__ = ["Copied", "bring", "copy"]


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: the digest (never another one), and how many manifests and bytes of blobs were sent."""

    digest: Digest
    manifests: int
    bytes: int


def copy(
    source: Reference,
    target: Reference,
    report: Report,
    *,
    client: RegistryClient,
    referrers: bool = True,
) -> Copied:
    """Copy an image with all its platforms; with `referrers`, also signatures and the like, and what refers to those.

    Blobs that the target has are not moved, and are mounted where both are one registry. Raises the kinds of pull and
    push.
    """
    source, target = source.with_default_tag(), target if target.tag or target.digest else target.with_default_tag()
    work = _Copy(client.repository(source), client.repository(target), report, client.cancellation)
    top = work.origin.manifest(source.digest or source.tag or "")
    work.tree(top, target.tag, referrers)
    return Copied(top.digest, len(work.done), work.sent)


def bring(
    document: Manifest | Index,
    origin: Repository,
    goal: Repository,
    report: Report,
) -> None:
    """Copy one manifest or index with all that it needs from repository to repository, without a tag."""
    _Copy(origin, goal, report, origin.transport.cancellation).tree(document, None, False)


class _Copy:
    def __init__(self, origin: Repository, goal: Repository, report: Report, cancellation: Cancellation) -> None:
        self.origin = origin
        self.goal = goal
        self.report = report
        self.cancellation = cancellation
        self.done: set[Digest] = set()
        self.sent = 0

    def tree(self, document: Manifest | Index, tag: str | None, referrers: bool, depth: int = 0) -> None:
        """Copy a manifest after all that it needs, then what refers to it."""
        if depth > MAX_INDEX_DEPTH:
            raise InvalidInput(f"{self.origin.reference} nests deeper than {MAX_INDEX_DEPTH}")
        if document.digest not in self.done:
            for entry in document.manifests if isinstance(document, Index) else ():
                self.tree(child(self.origin, entry), None, referrers, depth + 1)
            for blob in _blobs(document):
                self._blob(blob)
            self.goal.put_manifest(document)
            self.done.add(document.digest)
        if tag:
            self.goal.put_manifest(document, tag)
        for entry in self.origin.referrers(document.digest) if referrers else ():
            if entry.digest not in self.done:
                self.tree(child(self.origin, entry), None, referrers, depth + 1)

    def _blob(self, blob: Descriptor) -> None:
        if self.goal.has_blob(blob.digest) or self._mounted(blob.digest):
            self.report(Status("Already exists", blob.digest.short))
            return
        self.report(Status("Copying", blob.digest.short, 0, blob.size))
        with Spool(self.origin, blob) as spool:
            upload(self.goal, spool, ignore, self.cancellation)
        self.sent += blob.size
        self.report(Status("Copied", blob.digest.short))

    def _mounted(self, digest: Digest) -> bool:
        if self.origin.transport is not self.goal.transport:
            return False
        try:
            return mount(self.goal, digest, self.origin.path)
        except (LaminaError, urllib3.exceptions.HTTPError):
            return False


def _blobs(document: Manifest | Index) -> Iterator[Descriptor]:
    if isinstance(document, Manifest):
        yield document.config
        yield from (layer for layer in document.layers if layer.media_type not in FOREIGN_LAYERS)
