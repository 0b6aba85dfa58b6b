"""The engine's side: which sandboxes are answered, and what the keeper is told of them."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Container, Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path

import msgspec

from lamina.network.names.keeper_link import OWED, KeeperLink
from lamina.network.names.protocol import Forwarding, Sandbox, dump_place
from lamina.network.names.redirection import open_sockets
from lamina.network.names.table import Place

_LOG = logging.getLogger("lamina.network")


class Names:
    """Answer containers that ask for names. Thread-safe; `close` may be called twice.

    `places` returns all places there are, and `namespace` the file that holds a sandbox's network namespace. The keeper
    starts with the first sandbox. What a sandbox's questions need beside the places is kept in files in `directory`, so
    that an engine that comes back can serve it again.
    """

    def __init__(
        self, directory: Path, places: Callable[[], Iterable[Place]], namespace: Callable[[str], Path]
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._records = directory / "sandboxes"
        self._places = places
        self._namespace = namespace
        self._lock = threading.RLock()
        self._keeper = KeeperLink(directory, self._lost)
        self._sandboxes: dict[str, Sandbox] = {}

    def restore(self, live: Container[str]) -> None:
        """Take up the sandboxes that an earlier engine served, and its keeper where that still runs.

        `live` are the sandboxes that are still there. Raise OSError.
        """
        with self._lock:
            for record in self._records.glob("*"):
                with suppress(msgspec.DecodeError):  # half written when the engine died, before the sandbox started
                    sandbox = msgspec.json.decode(record.read_bytes(), type=Sandbox)
                    if sandbox.id in live:
                        self._sandboxes[sandbox.id] = sandbox
                        continue
                record.unlink(missing_ok=True)
            self._keeper.connect()
            if self._sandboxes and not self._keeper.connected:
                self._keeper.start()
            self._tell_all()

    def put(self, place: Place) -> None:
        """Have a place's names answered, or bring them up to date. Who asks after `settle` gets them.

        A place without names matters only to a sandbox that is served.
        """
        with self._lock:
            if place.names or place.sandbox in self._sandboxes:
                self._keeper.request({"op": "put", "id": place.id, "place": dump_place(place)}, owing=OWED)

    def settle(self) -> None:
        """Wait until the keeper has taken what it was told."""
        with self._lock:
            self._keeper.collect()

    def drop(self, id: str) -> None:
        """Forget a place. An unknown one is ignored."""
        with self._lock:
            self._keeper.request({"op": "drop", "id": id})

    def serve(self, id: str, forwarding: Forwarding, places: Iterable[Place]) -> None:
        """Answer the sandbox `id`, which has `places`, at 127.0.0.11, unless it is answered already.

        A keeper that has to be started is not waited for: the kernel holds what the sandbox asks. Raise OSError.
        """
        with self._lock:
            if id in self._sandboxes:
                self._keeper.collect()
                return
            fresh = not self._keeper.connected
            if fresh:
                self._keeper.start()
                self._tell_all(owing=OWED)
            sandbox = self._sandboxes[id] = Sandbox(id, forwarding)
            try:
                self._records.mkdir(exist_ok=True, mode=0o700)
                (self._records / id).write_bytes(msgspec.json.encode(sandbox))
                for place in places:
                    if not place.names:  # the others are known
                        self.put(place)
                self._hand_over(sandbox, owing=OWED if fresh else 0)
            except BaseException:
                self.unserve(id)
                raise

    def unserve(self, id: str) -> None:
        """Stop answering a sandbox. A second call does nothing."""
        with self._lock:
            if self._sandboxes.pop(id, None) is not None:
                self._keeper.request({"op": "unserve", "id": id})
                (self._records / id).unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the keeper to those it serves; without any it ends."""
        with self._lock:
            ending = not self._sandboxes
            self._keeper.close(end=ending)
            with suppress(OSError):  # in use, or never made
                self._records.rmdir()
        if ending:
            self._keeper.wait()

    def _lost(self) -> None:
        """Replace a keeper that is gone, where it is needed."""
        with self._lock:
            if self._sandboxes and not self._keeper.connected and not self._keeper.closed:
                _LOG.warning("the keeper of names ended and is started again")
                self._keeper.start()
                self._tell_all()

    def _tell_all(self, *, owing: int = 0) -> None:
        """Tell a keeper that has begun all that there is; what it knows beside that it forgets."""
        for place in self._places():
            self.put(place)
        for sandbox in self._sandboxes.values():
            if not self._keeper.request({"op": "has", "id": sandbox.id}).get("has"):
                try:
                    self._hand_over(sandbox)
                except OSError as error:  # its namespace is gone, say; the others go on
                    _LOG.warning("container %s is not answered names: %s", sandbox.id[:12], error)
        self._keeper.request({"op": "settle"}, owing=owing)

    def _hand_over(self, sandbox: Sandbox, *, owing: int = 0) -> None:
        namespace = self._namespace(sandbox.id)
        with ExitStack() as closing:
            descriptors = [closing.enter_context(made).fileno() for made in open_sockets(namespace)]
            if sandbox.forwarding.inside:
                descriptors.append(os.open(namespace, os.O_RDONLY | os.O_CLOEXEC))
                closing.callback(os.close, descriptors[-1])
            request = {"op": "serve", "id": sandbox.id, "sandbox": asdict(sandbox)}
            answer = self._keeper.request(request, descriptors, owing=owing)
            if "error" in answer:
                raise OSError(errno.EMFILE, f"the keeper of names does not take the sandbox: {answer['error']}")
