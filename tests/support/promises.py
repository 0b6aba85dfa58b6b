"""What a registry answered 201 to, and a look at whether it is served."""

from __future__ import annotations

import random
import threading
from typing import Protocol

from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from support.registries import Answer


class Ask(Protocol):
    def __call__(self, method: str, path: str, /) -> Answer: ...


class Promises:
    """Images that must be there. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.kept: dict[Digest, Manifest] = {}
        self.broken: set[Digest] = set()
        """Images whose deletion was asked for: nobody knows."""
        self.count = 0
        self.resumed = 0

    def made(self, manifest: Manifest) -> None:
        """The registry has answered 201."""
        with self._lock:
            self.kept[manifest.digest] = manifest
            self.count += 1

    def check(self, manifest: Manifest, answer: Answer) -> None:
        """The registry was asked for an image it has; others may have asked for its deletion meanwhile."""
        assert answer.body == manifest.raw or manifest.digest in self.broken, answer

    def break_one(self) -> Manifest | None:
        """An image that is about to be deleted; None while there are few."""
        with self._lock:
            if len(self.kept) < 20:
                return None
            digest = random.choice(list(self.kept))
            self.broken.add(digest)
            return self.kept.pop(digest)


def broken(ask: Ask, repository: str, manifest: Manifest) -> str | None:
    """What is wrong with an image that must be there."""
    if ask("GET", f"/v2/{repository}/manifests/{manifest.digest}").body != manifest.raw:
        return f"manifest {manifest.digest} is gone"
    for part in (manifest.config, *manifest.layers):
        answer = ask("GET", f"/v2/{repository}/blobs/{part.digest}")
        if answer.status != 200 or not part.digest.matches(answer.body):
            return f"blob {part.digest} answers {answer.status}"
    return None
