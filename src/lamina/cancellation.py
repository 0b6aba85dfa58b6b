"""One way to stop long work: a token that its caller cancels and that the work checks, waits on, or is woken by."""

from __future__ import annotations

from _thread import allocate_lock  # threading, contextlib and typing would be most of what a command loads

from lamina.errors import Cancelled, Internal
from lamina.light import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Cancellation:
    """A request to stop, which is never taken back. Any thread and any signal handler may make it.

        cancellation = Cancellation()
        engine.registries.pull(reference, cancellation=cancellation)  # another thread calls cancellation.cancel()

    Nothing here takes a lock, so `cancel` in a signal handler cannot wait for the thread that it interrupted.
    """

    def __init__(self) -> None:
        self._reason: str | None = None
        self._callbacks: dict[object, Callable[[], object]] = {}

    @property
    def cancelled(self) -> bool:
        """Return whether somebody has asked to stop."""
        return self._reason is not None

    def cancel(self, reason: str = "cancelled") -> None:
        """Ask to stop and call what waits for that. `reason` is a sentence for people; only the first one counts."""
        if self._reason is None:
            self._reason = reason
        while self._callbacks:
            try:
                _, callback = self._callbacks.popitem()
            except KeyError:  # the last one has just been taken by its own thread
                return
            callback()

    @property
    def reason(self) -> str:
        """Return why to stop; "" as long as nobody has asked."""
        return self._reason or ""

    def check(self) -> None:
        """Raise Cancelled once somebody has asked to stop."""
        if self._reason is not None:
            raise Cancelled(self._reason)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for `timeout` seconds, or for ever, and return whether somebody has asked to stop."""
        gate = allocate_lock()
        gate.acquire()
        with self.on_cancel(gate.release):
            gate.acquire(timeout=-1 if timeout is None else max(0.0, timeout))
        return self.cancelled

    def on_cancel(self, callback: Callable[[], object]) -> Following:
        """Have `callback` called if somebody asks to stop while the block runs, or has asked before; once at most.

        It runs in the thread that cancels, where it must not raise or wait, and may still run when the block has ended:
        shut a socket down, never close a descriptor by its number.
        """
        return Following(self, self._callbacks, callback)

    def child(self) -> Child:
        """Return a token for a part of the work, to be entered with `with`: see Child."""
        return Child(self)


class Following:
    """The block in which a callback is called when somebody asks to stop."""

    def __init__(
        self, cancellation: Cancellation, callbacks: dict[object, Callable[[], object]], callback: Callable[[], object]
    ) -> None:
        self._cancellation = cancellation
        self._callbacks = callbacks
        self._callback = callback

    def __enter__(self) -> None:
        self._callbacks[self] = self._callback
        if self._cancellation.cancelled and self._callbacks.pop(self, None) is not None:
            self._callback()

    def __exit__(self, *unused: object) -> None:
        self._callbacks.pop(self, None)


class Child(Cancellation):
    """A token that is cancelled with its parent, by itself, or when its block is left by an exception.

    So the threads of a verb stop when one of them fails, and at Ctrl-C as well.
    """

    def __init__(self, parent: Cancellation) -> None:
        super().__init__()
        self._parent = parent
        self._following = parent.on_cancel(lambda: self.cancel(parent.reason))

    def __enter__(self) -> Child:
        self._following.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._following.__exit__(None, None, None)
        if error is not None:
            self.cancel("other work that belongs to this has failed")


class Readable(Protocol):
    """A stream that bytes are read from."""

    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    """A stream that bytes are written to."""

    def write(self, data: bytes, /) -> object: ...


class CheckedReader:
    """Reads a stream as long as nobody has asked to stop; then `read` raises Cancelled."""

    def __init__(self, stream: Readable, cancellation: Cancellation) -> None:
        self._read = stream.read
        self._check = cancellation.check

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes of the stream, all that is left for -1."""
        self._check()
        return self._read(size)


class CheckedWriter:
    """Writes to a sink as long as nobody has asked to stop; then `write` raises Cancelled."""

    def __init__(self, sink: Writable, cancellation: Cancellation) -> None:
        self._write = sink.write
        self._check = cancellation.check

    def write(self, data: bytes, /) -> object:
        """Hand `data` to the sink."""
        self._check()
        return self._write(data)


class _Never(Cancellation):
    def cancel(self, reason: str = "cancelled") -> None:
        raise Internal("the token of work that nobody stops was cancelled")


NEVER: Cancellation = _Never()
"""For callers that will not stop the work."""
