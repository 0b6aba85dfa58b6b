"""A connection to a syslog server over TLS (RFC 5425), for a loop that never waits.

The module `ssl` takes 2 MB. It is loaded only by monitors that need it.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lamina.runtime.monitor.loop import READ, WRITE

if TYPE_CHECKING:
    import ssl

_LAST_WORDS = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What Docker's `syslog-tls-…` options say: paths of PEM files, and the server's `name` in its certificate.

    `authority` is trusted beside the system's. With `any_server` the server's certificate is not looked at.
    """

    name: str
    authority: str = ""
    certificate: str = ""
    key: str = ""
    any_server: bool = False


class Waiting(BlockingIOError):
    """The connection has to wait until it can be read or written; `events` says which (epoll's)."""

    def __init__(self, events: int) -> None:
        super().__init__(errno.EAGAIN, os.strerror(errno.EAGAIN))
        self.events = events


class TlsConnection:
    """A socket that may still be connecting, and what goes through it encrypted. `handshake` is done where needed."""

    def __init__(self, connection: socket.socket, options: TlsOptions) -> None:
        """Raise OSError where the options' files cannot be read."""
        self._plain = connection
        self._options = options
        self._context = _context(options)
        self._tls: ssl.SSLSocket | None = None
        self._ready = False

    def fileno(self) -> int:
        return self._plain.fileno() if self._tls is None else self._tls.fileno()

    def handshake(self) -> None:
        """Agree on keys with the server. Raise Waiting where that takes longer, and OSError where it fails."""
        import ssl

        if self._tls is None:
            self._check_connected()
            self._tls = self._context.wrap_socket(
                self._plain, server_hostname=self._options.name, do_handshake_on_connect=False
            )
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            raise Waiting(READ) from None
        except ssl.SSLWantWriteError:
            raise Waiting(WRITE) from None
        self._ready = True

    def _check_connected(self) -> None:
        error = self._plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        try:
            self._plain.getpeername()
        except OSError:
            raise Waiting(WRITE) from None

    def send(self, data: bytes) -> int:
        """Send some of `data` and return how much. Raise Waiting, and OSError where the connection has ended."""
        import ssl

        if not self._ready:
            self.handshake()
        assert self._tls is not None
        try:
            return self._tls.send(data)
        except ssl.SSLWantReadError:
            raise Waiting(READ) from None
        except ssl.SSLWantWriteError:
            raise Waiting(WRITE) from None

    def end(self) -> None:
        """Tell the server that nothing follows, and wait a second at most until it knows.

        Servers send keys for later sessions, which nobody reads here. A socket that is closed with something unread
        takes along what is still on its way to the server (RFC 2525, 2.17).
        """
        if self._tls is not None and self._ready:
            with suppress(OSError, ValueError):  # the server may go first
                self._tls.settimeout(_LAST_WORDS)
                self._tls.unwrap()

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        (self._plain if self._tls is None else self._tls).close()


def _context(options: TlsOptions) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    if options.authority:
        context.load_verify_locations(options.authority)
    if options.any_server:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.certificate or options.key:
        context.load_cert_chain(options.certificate, options.key or None)
    return context
