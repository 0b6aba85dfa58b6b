"""The sessions of clients: connections on which the daemon calls what a client offers to its builds.

Builds run in threads and call from there; the event loop sends and receives. A call ends when its build is cancelled
and when the client goes away.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from lamina.cancellation import Cancellation
from lamina.daemon.buildkit.http2 import Http2
from lamina.daemon.buildkit.protobuf import Message
from lamina.daemon.buildkit.rpc import Caller, Outgoing
from lamina.daemon.buildkit.streams import Headers
from lamina.errors import Cancelled, NotFound, Unavailable, Unsupported

T = TypeVar("T")
M = TypeVar("M", bound=Message)

_PATIENCE = 5.0  # seconds a build waits for its session, as BuildKit does
_GONE = "the client's session has ended"


class Session:
    """One client's session. `methods` are the paths that it answers, in lower case."""

    def __init__(self, connection: Http2, id: str, shared_key: str, methods: Iterable[str]) -> None:
        self.id = id
        self.shared_key = shared_key
        self.methods = frozenset(method.lower() for method in methods)
        self.connection = connection
        self.loop = asyncio.get_running_loop()
        self.caller = Caller(connection)

    def offers(self, path: str) -> bool:
        """Return whether the client answers calls of this path."""
        return path.lower() in self.methods

    def ask(self, path: str, request: Message, kind: type[M], cancellation: Cancellation) -> M:
        """Call from a thread and return the answer.

        Raise Unsupported for what the client does not offer, Cancelled, Unavailable, or the kind of its error.
        """
        self._require(path)
        return self.wait(lambda: self.caller.unary(path, request, kind), cancellation)

    def call(self, path: str, cancellation: Cancellation, metadata: Headers = ()) -> SessionCall:
        """Begin a call of streams from a thread. Raise as `ask` does."""
        self._require(path)

        async def begin() -> Outgoing:
            return self.caller.open(path, metadata)

        outgoing = self.wait(begin, cancellation)
        return SessionCall(outgoing, lambda work: self.wait(work, cancellation))

    def _require(self, path: str) -> None:
        if not self.offers(path):
            raise Unsupported(f"method {path} not supported by the client")

    def wait(self, work: Callable[[], Coroutine[Any, Any, T]], cancellation: Cancellation) -> T:
        """Run `work` in the event loop, and wait for it in a thread.

        Raise Cancelled, Unavailable, and what `work` raises.
        """
        cancellation.check()
        try:
            future = asyncio.run_coroutine_threadsafe(work(), self.loop)
        except RuntimeError as error:
            raise Cancelled("the daemon is stopping") from error
        with cancellation.on_cancel(future.cancel):
            try:
                return future.result()
            except concurrent.futures.CancelledError:
                cancellation.check()
                raise Unavailable(_GONE) from None


class SessionCall:
    """A call over a session, for a thread. A context manager; leaving it cuts a call that is not over."""

    def __init__(self, call: Outgoing, wait: Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]) -> None:
        self._call = call
        self._wait = wait

    def receive(self) -> list[bytes]:
        """Return the messages that have arrived, at least one, still encoded; none at the end."""
        messages: list[bytes] = self._wait(self._call.receive_batch)
        return messages

    def send(self, *messages: Message) -> None:
        """Send messages in order. Wait while the client is behind."""
        self._wait(lambda: self._call.send(*messages))

    def end(self) -> None:
        """Say that nothing more comes."""

        async def end() -> None:
            self._call.finish()

        self._wait(end)

    def finish(self) -> None:
        """Say that nothing more comes, and wait for the client's end. Raise the client's error."""

        async def end() -> None:
            self._call.finish()
            await self._call.check()

        self._wait(end)

    def check(self) -> None:
        """Wait for the client's end. Raise the client's error."""
        self._wait(self._call.check)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.cancel_soon()


class Sessions:
    """The open sessions by ID. It belongs to the event loop."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._came = asyncio.Condition()

    async def add(self, session: Session) -> None:
        """Make a session known until `remove`. A newer one of the same ID takes its place."""
        async with self._came:
            self._sessions[session.id] = session
            self._came.notify_all()

    def remove(self, session: Session) -> None:
        """Forget a session. A second call does nothing."""
        if self._sessions.get(session.id) is session:
            del self._sessions[session.id]

    async def get(self, id: str) -> Session:
        """Return a session; wait a little for one whose connection is on its way. Raise NotFound."""
        session = await self.find(id)
        if session is None:
            raise NotFound(f"no active session for {id}")
        return session

    async def find(self, id: str) -> Session | None:
        """Return a session as `get` does, None if it does not come. Without an ID nothing is waited for."""
        id = id.rpartition(":")[2]
        if not id:
            return None
        async with self._came:
            try:
                await asyncio.wait_for(self._came.wait_for(lambda: id in self._sessions), _PATIENCE)
            except TimeoutError:
                return None
            return self._sessions[id]
