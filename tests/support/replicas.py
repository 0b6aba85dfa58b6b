"""Replicas of a registry over one database and one object store, and clients that go to whichever of them lives."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from itertools import repeat

from lamina.formats.digest import Digest
from support.cutting import CuttingProxy
from support.registries import Answer, Raw
from support.spawned import Spawned

_PATIENCE = 60.0  # seconds until a request must have found a replica


class Replicas:
    """Some registries with the same settings, of which any may be killed and put back."""

    def __init__(self, count: int, start: Callable[[], Spawned]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._running = [start() for _ in range(count)]

    def addresses(self) -> list[str]:
        """Where those that live can be reached."""
        with self._lock:
            return [replica.address for replica in self._running]

    def kill(self, place: int) -> None:
        """End one by SIGKILL."""
        with self._lock:
            victim = self._running.pop(place)
        victim.kill()

    def refill(self) -> None:
        """Start one in the place of the last that died."""
        started = self._start()
        with self._lock:
            self._running.append(started)

    def __enter__(self) -> Replicas:
        return self

    def __exit__(self, *_: object) -> None:
        for replica in self._running:
            with replica:
                pass


class Balancer(CuttingProxy):
    """Brings each connection to the first replica that lives, and counts bytes."""

    def __init__(self, replicas: Replicas) -> None:
        super().__init__(replicas.addresses()[0], repeat(1 << 60))
        self._replicas = replicas

    def _connect(self) -> socket.socket:
        host, _, port = self._replicas.addresses()[0].rpartition(":")
        return socket.create_connection((host, int(port)))


class Roaming:
    """A client that goes on at another replica when one does not answer."""

    def __init__(self, replicas: Replicas, seed: int) -> None:
        self._replicas = replicas
        self._random = random.Random(seed)
        self._raw: Raw | None = None
        self.resumed = 0
        """How many uploads went on at another replica, with bytes the first one had taken."""

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """A request that may be made twice."""
        deadline = time.monotonic() + _PATIENCE
        while (answer := self.once(method, path, body, **headers)) is None:
            assert time.monotonic() < deadline, f"no replica answers {method} {path}"
        return answer

    def once(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer | None:
        """A request to one replica; None where it gave no answer."""
        with suppress(OSError, HTTPException):
            if self._raw is None:
                self._raw = Raw(self._random.choice(self._replicas.addresses()))
            return self._raw(method, path, body, **headers)
        self.close()
        return None

    def push_blob(self, repository: str, content: bytes, chunk: int) -> Digest:
        """Push in chunks; where the connection breaks, ask another replica how far it came, and go on there.

        Chunks have two bytes at least: a registry says `0-0` of one byte as well as of none.
        """
        digest, place = Digest.of(content), ""
        deadline = time.monotonic() + _PATIENCE
        while True:
            assert time.monotonic() < deadline, f"the upload {place} does not end"
            if not place:
                place = self("POST", f"/v2/{repository}/blobs/uploads/", b"").headers["Location"]
            at = self._send(place, content, chunk)
            if at == len(content):
                answer = self.once("PUT", f"{place}?digest={digest}", b"")
                if answer is not None and answer.status == 201:
                    return digest
            status = self("GET", place)
            if status.status == 404:  # done by a replica that could not say so, or never begun
                place = ""
                if self("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200:
                    return digest

    def _send(self, place: str, content: bytes, chunk: int) -> int:
        """Send what is missing; gives how far that came."""
        status = self("GET", place)
        at = 0
        if status.status == 204 and (at := int(status.headers["Range"].partition("-")[2])):
            at += 1
            self.resumed += 1
        while at < len(content):
            piece = content[at : at + chunk]
            span = f"{at}-{at + len(piece) - 1}"
            answer = self.once("PATCH", place, piece, Content_Range=span)
            if answer is None or answer.status != 202:
                return -1
            at += len(piece)
        return at
