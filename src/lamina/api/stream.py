"""The standard files of a process in a container, as the client and the engine hand them out."""

from __future__ import annotations

from _socket import MSG_DONTWAIT, SHUT_WR  # socket, which adds enums and selectors, takes as long as Python itself

from lamina.formats.frames import STDOUT, Deframer, Piece
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from _socket import socket as Socket
    from collections.abc import Iterable, Iterator


def deframed(chunks: Iterable[bytes], framed: bool) -> Iterator[Piece]:
    """Yield (channel, data) of a byte stream; all of it is standard output where it is not framed."""
    deframer = Deframer()
    for chunk in chunks:
        if framed:
            yield from deframer.feed(chunk)
        else:
            yield STDOUT, chunk


class Stream:
    """A process's input one way, its output the other. `close` may be called twice.

    Use it from one thread for reading and one for writing, or with `fileno` in a poll loop: `receive` then gives
    what is there, and `pending` tells that bytes wait which the kernel does not know of.
    """

    def __init__(self, sock: Socket, ahead: bytes, framed: bool) -> None:
        self.framed = framed
        self._sock = sock
        self._ahead = ahead
        self._deframer = Deframer()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Piece]:
        """Yield (channel, data) until the other side ends the stream."""
        while (pieces := self.receive()) is not None:
            yield from pieces

    @property
    def pending(self) -> bool:
        """Return whether `receive` has something without asking the socket."""
        return bool(self._ahead) or bool(getattr(self._sock, "pending", int)())

    def detach(self) -> socket.socket:
        """Return the connection itself, for a caller that passes its bytes on as they are."""
        import socket

        if not isinstance(self._sock, socket.socket):
            self._sock = socket.socket(fileno=self._sock.detach())
        return self._sock

    def fileno(self) -> int:
        """Return a descriptor for select and poll. It is readable when the other side has sent something, or ended."""
        return self._sock.fileno()

    def receive(self) -> list[Piece] | None:
        """Wait for bytes; give the pieces in them (perhaps none yet), or None at the end of the stream."""
        data, self._ahead = self._ahead, b""
        if not data:
            try:
                data = self._sock.recv(65536)
            except ConnectionResetError:
                return None  # the daemon went away, or ended the stream while input was on its way
        if not data:
            return None
        return self._deframer.feed(data) if self.framed else [(STDOUT, data)]

    def send(self, data: bytes) -> bool:
        """Write all of `data` to the process's input; False where it does not read any more."""
        try:
            self._sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def offer(self, data: bytes) -> int | None:
        """Write what fits without waiting, and return its length; None where the process does not read any more.

        Over TLS it waits until all is written.
        """
        try:
            if hasattr(self._sock, "unwrap"):
                self._sock.sendall(data)
                return len(data)
            return self._sock.send(data, MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            return None

    def close_write(self) -> None:
        """Tell the process that its input ends. Over TLS, which cannot end one direction, this does nothing."""
        if hasattr(self._sock, "unwrap"):
            return
        try:
            self._sock.shutdown(SHUT_WR)
        except OSError:
            return  # the other side was faster

    def close(self) -> None:
        """Hang up; a second call does nothing."""
        self._sock.close()
