"""The engine's side: it starts the keeper, tells it names and sandboxes, and starts another one where it was killed."""

from __future__ import annotations

import errno
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import msgspec

import lamina
from lamina.network.names.protocol import Forwarding, Message, Sandbox, dump_place, receive, send
from lamina.network.names.redirection import open_sockets
from lamina.network.names.table import Place

_LOG = logging.getLogger("lamina.network")
_PROGRAM = """import sys
sys.path.insert(0, sys.argv[1])
from lamina.network.names.keeper import main
main({listening}, {engine}, sys.argv[2])"""
_PATIENCE = 10.0  # seconds within which the keeper answers
_PAUSE = 1.0  # seconds between the starts of two keepers
_BACKLOG = 4
_OWED = 6  # answers left for later: fewer than the shortest queue of a socket (unix(7), max_dgram_qlen)


class Names:
    """Answers containers that ask for names. Thread-safe; `close` may be called twice.

    `places` returns all places there are, and `namespace` the file that holds a sandbox's network namespace. The keeper
    starts with the first sandbox. What a sandbox's questions need beside the places is kept in files in `directory`, so
    that an engine that comes back can serve it again.
    """

    def __init__(
        self, directory: Path, places: Callable[[], Iterable[Place]], namespace: Callable[[str], Path]
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._places = places
        self._namespace = namespace
        self._lock = threading.RLock()
        self._keeper: socket.socket | None = None
        self._owed = 0  # answers that the keeper has yet to give
        self._starting = False
        self._sandboxes: dict[str, Sandbox] = {}
        self._closed = threading.Event()

    def restore(self, live: Container[str]) -> None:
        """Take up the sandboxes that an earlier engine served, and its keeper where that still runs.

        `live` are the sandboxes that are still there.
        """
        with self._lock:
            for record in (self._directory / "sandboxes").glob("*"):
                with suppress(msgspec.DecodeError):  # half written when the engine died, before the sandbox started
                    sandbox = msgspec.json.decode(record.read_bytes(), type=Sandbox)
                    if sandbox.id in live:
                        self._sandboxes[sandbox.id] = sandbox
                        continue
                record.unlink(missing_ok=True)
            self._connect()
            if self._keeper is not None:
                self._tell_all()
            elif self._sandboxes:
                self._start()

    def put(self, place: Place) -> None:
        """Have a place's names answered, or bring them up to date. Who asks after `settle` gets them.

        A place without names matters only to a sandbox that is served.
        """
        with self._lock:
            if self._matters(place):
                self._request({"op": "put", "id": place.id, "place": dump_place(place)}, owing=_OWED)

    def settle(self) -> None:
        """Wait until the keeper has taken what it was told."""
        with self._lock:
            self._collect(0)

    def drop(self, id: str) -> None:
        """Forget a place. An unknown one is ignored."""
        with self._lock:
            self._request({"op": "drop", "id": id})

    def serve(self, id: str, forwarding: Forwarding, places: Iterable[Place]) -> None:
        """Answer the sandbox `id`, which has `places`, at 127.0.0.11, unless it is answered already. Raise OSError."""
        with self._lock:
            if id in self._sandboxes:
                self._collect(0)
                return
            sandbox = self._sandboxes[id] = Sandbox(id, forwarding)
            self._record(id).parent.mkdir(exist_ok=True, mode=0o700)
            self._record(id).write_bytes(msgspec.json.encode(sandbox))
            if self._keeper is None:
                self._start()
                return
            try:
                for place in places:
                    if not place.names:  # the others are known
                        self.put(place)
                self._hand_over(sandbox)
            except BaseException:
                self.unserve(id)
                raise

    def unserve(self, id: str) -> None:
        """Stop answering a sandbox. A second call does nothing."""
        with self._lock:
            if self._sandboxes.pop(id, None) is not None:
                self._request({"op": "unserve", "id": id})
                self._record(id).unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the keeper to those it serves; without any it ends."""
        self._closed.set()
        with self._lock:
            ended = not self._sandboxes
            if ended:
                self._request({"op": "end"})
            self._drop()
            with suppress(OSError):  # in use, or never made
                (self._directory / "sandboxes").rmdir()
            if ended:
                (self._directory / "keeper").unlink(missing_ok=True)

    def _record(self, id: str) -> Path:
        return self._directory / "sandboxes" / id

    def _matters(self, place: Place) -> bool:
        return bool(place.names) or place.sandbox in self._sandboxes

    # the keeper

    def _connect(self) -> None:
        """Connect to the keeper that an earlier engine left, unless it is of another version: that one ends."""
        keeper = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with self._address() as address:
                keeper.connect(address)
        except OSError:  # there is none
            keeper.close()
            return
        self._take(keeper)
        told = self._request({"op": "begin"})
        if told.get("version") != lamina.__version__:
            self._request({"op": "end"})
            self._drop()

    def _start(self) -> None:
        """Start a keeper, and tell it all, without waiting for it: the kernel holds what containers ask."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening, self._address() as address:
            with suppress(FileNotFoundError):
                os.unlink(address)
            listening.bind(address)
            listening.listen(_BACKLOG)
            process = _spawn(listening.fileno(), theirs.fileno(), f"lamina {self._directory}")
        self._take(ours, process)
        self._request({"op": "begin"})
        self._tell_all()

    @contextmanager
    def _address(self) -> Iterator[str]:
        """Yield a short name for the keeper's socket, whatever the length of the directory's (unix(7): 108 bytes)."""
        directory = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{directory}/keeper"
        finally:
            os.close(directory)

    def _take(self, keeper: socket.socket, process: int | None = None) -> None:
        """Have `keeper` be the one that is told. One that we started is not waited for until it had time to start."""
        keeper.settimeout(_PATIENCE)
        self._keeper = keeper
        self._owed = 0
        self._starting = process is not None
        watched = socket.socket(fileno=os.dup(keeper.fileno()))
        threading.Thread(target=self._watch, args=(watched, keeper, process), name="lamina-names", daemon=True).start()

    def _watch(self, watched: socket.socket, keeper: socket.socket, process: int | None) -> None:
        """Wait for the end of a keeper, and start another one where it is needed."""
        pause_until = time.monotonic() + _PAUSE
        with watched:
            poll = select.poll()
            poll.register(watched, select.POLLRDHUP)
            poll.poll()
        if self._closed.wait(max(0.0, pause_until - time.monotonic())):
            return
        if process is not None:
            os.kill(process, signal.SIGKILL)  # it may only hang
            os.waitpid(process, 0)
        with self._lock:
            if self._keeper is keeper:
                self._drop()
            if self._keeper is None and self._sandboxes and not self._closed.is_set():
                _LOG.warning("the keeper of names ended and is started again")
                self._start()

    def _tell_all(self) -> None:
        """Tell a keeper, which has been told to begin, all that there is; what it knows beside that it forgets."""
        for place in self._places():
            self.put(place)
        for sandbox in self._sandboxes.values():
            if self._starting or not self._request({"op": "has", "id": sandbox.id}).get("has"):
                try:
                    self._hand_over(sandbox)
                except OSError as error:  # its namespace is gone, say; the others go on
                    _LOG.warning("container %s is not answered names: %s", sandbox.id[:12], error)
        self._request({"op": "settle"})
        self._starting = False

    def _hand_over(self, sandbox: Sandbox) -> None:
        namespace = self._namespace(sandbox.id)
        with ExitStack() as closing:
            sockets = [closing.enter_context(made) for made in open_sockets(namespace)]
            descriptors = [made.fileno() for made in sockets]
            if sandbox.forwarding.inside:
                descriptors.append(os.open(namespace, os.O_RDONLY | os.O_CLOEXEC))
                closing.callback(os.close, descriptors[-1])
            answer = self._request({"op": "serve", "id": sandbox.id, "sandbox": asdict(sandbox)}, descriptors)
            if "error" in answer:
                raise OSError(errno.EMFILE, f"the keeper of names does not take the sandbox: {answer['error']}")

    def _request(self, request: Message, descriptors: Sequence[int] = (), *, owing: int = 0) -> Message:
        """Send a request and return the answer; nothing happens without a keeper.

        As many answers as `owing` are left for later, and a few while the keeper is starting.
        """
        if self._keeper is None:
            return {}
        try:
            send(self._keeper, request, descriptors)
            self._owed += 1
        except OSError as error:
            self._give_up(error)
        return self._collect(_OWED if self._starting else owing)

    def _collect(self, owing: int) -> Message:
        """Take the keeper's answers, but for as many as `owing`, and return the last one."""
        answer: Message = {}
        try:
            while self._keeper is not None and self._owed > owing:
                received = receive(self._keeper)
                if received is None:
                    raise ConnectionResetError("the keeper ended")
                answer, _ = received
                self._owed -= 1
        except OSError as error:
            self._give_up(error)
        return answer

    def _give_up(self, error: OSError) -> None:
        """Leave a keeper that hangs or was killed: `_watch` starts another one, which is told everything."""
        _LOG.warning("the keeper of names does not answer: %s", error)
        self._drop()

    def _drop(self) -> None:
        if self._keeper is not None:
            with suppress(OSError):  # it ended first
                self._keeper.shutdown(socket.SHUT_RDWR)  # wakes `_watch`, too
            self._keeper.close()
            self._keeper = None


def _spawn(listening: int, engine: int, title: str) -> int:
    """Start a keeper that outlives the calling process, and return its process ID."""
    program = _PROGRAM.format(listening=listening, engine=engine)
    package_root = str(Path(lamina.__file__).parent.parent)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", program, package_root, lamina.__version__, title],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, null, 1),
                *((os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in (listening, engine)),
            ],
            setsid=True,
        )
    finally:
        os.close(null)
