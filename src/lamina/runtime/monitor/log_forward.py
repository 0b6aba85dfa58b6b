"""Logs that go to another program: syslog (RFC 3164, 5424 and 5425, as moby's driver writes them) and journald.

A message is sent when it is complete. Over TCP and unix streams it waits for the receiver in a buffer of bounded size:
when that is full, the output of the container waits, or messages are dropped in the mode "non-blocking".
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from lamina.formats.times import format_time
from lamina.runtime.monitor.log_file import MESSAGE_LIMIT
from lamina.runtime.monitor.log_tls import TlsConnection, Waiting
from lamina.runtime.monitor.loop import WRITE, Loop
from lamina.runtime.monitor.protocol import LogForward

JOURNAL = "/run/systemd/journal/socket"
LOCAL_SYSLOG = ("/dev/log", "/var/run/syslog", "/var/run/log")
_RETRY_SECONDS = 1.0  # between two attempts to reach a receiver that went away
_SEVERITY = {"stdout": 6, "stderr": 3}  # informational, error (RFC 5424, 6.2.1)


Connection = socket.socket | TlsConnection


def connect(forward: LogForward, seconds: float = 0.0) -> Connection:
    """Return a connection to the receiver; without `seconds` to wait it may still be on its way.

    Raise OSError where there is none.
    """
    if forward.tls is None:
        return _plain(forward, seconds)
    plain = _plain(forward, seconds)
    try:
        connection = TlsConnection(plain, forward.tls)
    except BaseException:
        plain.close()
        raise
    if seconds:
        plain.settimeout(seconds)
        try:
            connection.handshake()
        except BaseException:
            connection.close()
            raise
    return connection


def _plain(forward: LogForward, seconds: float) -> socket.socket:
    if forward.kind == "journald":
        return _connected(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), JOURNAL, seconds)
    if forward.network in ("udp", "tcp", "tls"):
        kind = socket.SOCK_DGRAM if forward.network == "udp" else socket.SOCK_STREAM
        family = socket.AF_INET6 if ":" in forward.address else socket.AF_INET
        return _connected(socket.socket(family, kind), (forward.address, forward.port), seconds)
    if forward.address:
        kind = socket.SOCK_STREAM if forward.network == "unix" else socket.SOCK_DGRAM
        return _connected(socket.socket(socket.AF_UNIX, kind), forward.address, seconds)
    for path in LOCAL_SYSLOG:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with suppress(OSError):  # another one may be there
                return _connected(socket.socket(socket.AF_UNIX, kind), path, seconds)
    raise FileNotFoundError(errno.ENOENT, "Unix syslog delivery error")


def _connected(connection: socket.socket, address: str | tuple[str, int], seconds: float) -> socket.socket:
    connection.settimeout(seconds)  # 0 is without waiting
    try:
        connection.connect(address)
    except BlockingIOError:
        pass
    except OSError:
        connection.close()
        raise
    connection.setblocking(False)
    return connection


def syslog_message(forward: LogForward, stream: str, text: bytes, now: float) -> bytes:
    """Return one message of syslog (RedCode/srslog formatter.go, moby daemon/logger/syslog/syslog.go)."""
    priority = forward.facility << 3 | _SEVERITY[stream]
    pid, tag = os.getpid(), forward.tag
    host = socket.gethostname()
    if forward.format.startswith("rfc5424"):
        digits = 6 if forward.format == "rfc5424micro" else 0
        head = f"<{priority}>1 {format_time(int(now * 1e9), digits=digits)} {host} {tag} {pid} {tag} - "
    else:
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(now))
        named = f" {host}" if forward.format == "rfc3164" else ""
        head = f"<{priority}>{stamp}{named} {tag}[{pid}]: "
    message = head.encode() + text.rstrip(b"\n") + b"\n"
    if forward.network == "tls" and forward.format.startswith("rfc5424"):
        return b"%d %s" % (len(message), message)  # RFC 5425, 4.3
    return message


def journal_message(forward: LogForward, stream: str, text: bytes) -> bytes:
    """Return one message of journald's native protocol (systemd JOURNAL_NATIVE_PROTOCOL).

    A part of a longer line is marked as dockerd marks it.
    """
    fields = {**forward.fields, "PRIORITY": str(_SEVERITY[stream])}
    if len(text) >= MESSAGE_LIMIT and not text.endswith(b"\n"):
        fields["CONTAINER_PARTIAL_MESSAGE"] = "true"
    parts = [_field(name, value.encode()) for name, value in fields.items()]
    return b"".join((*parts, _field("MESSAGE", text.rstrip(b"\n"))))


def _field(name: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return name.encode() + b"=" + value + b"\n"
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


class Forwarder:
    """Send a container's messages on, and never block the loop."""

    def __init__(self, loop: Loop, forward: LogForward, settle: Callable[[], None]) -> None:
        """`settle` is called when `lagging` may have changed."""
        self._loop = loop
        self._forward = forward
        self._settle = settle
        self._pending: deque[bytes] = deque()
        self._size = 0
        self._connection: Connection | None = None
        self._stream = False
        self._closing = False
        self._retrying = False
        self._told = False  # whether the output waits
        self._reconnect()

    @property
    def idle(self) -> bool:
        """Return whether everything has been sent, or there is nobody to send it to."""
        return not self._pending or self._connection is None

    @property
    def lagging(self) -> bool:
        """Return whether the output of the container has to wait for the receiver, which is there."""
        return not self._drops and self._size >= self._forward.buffer

    @property
    def _drops(self) -> bool:
        """Return whether messages that find no room are dropped."""
        return self._forward.non_blocking or self._connection is None

    def write(self, stream: str, lines: list[bytes]) -> None:
        """Send messages of `stream` ("stdout" or "stderr")."""
        for line in lines:
            if not line.strip(b"\n"):
                continue
            if self._forward.kind == "journald":
                message = journal_message(self._forward, stream, line)
            else:
                message = syslog_message(self._forward, stream, line, time.time())
            if self._drops and self._size + len(message) > self._forward.buffer:
                continue
            self._pending.append(message)
            self._size += len(message)
        self._flush()

    def close(self) -> None:
        """Send what can be sent now, and let go of the receiver."""
        self._closing = True
        self._flush()
        if isinstance(self._connection, TlsConnection):
            self._connection.end()
        self._drop()

    def _reconnect(self) -> None:
        self._retrying = False
        with suppress(OSError):  # it is tried again with the next messages
            self._connection = connect(self._forward)
            self._stream = isinstance(self._connection, TlsConnection) or self._connection.type == socket.SOCK_STREAM

    def _flush(self) -> None:
        if self._connection is None and self._pending and not self._retrying:
            self._reconnect()
        while self._pending and self._connection is not None:
            try:
                sent = self._connection.send(self._pending[0])
            except BlockingIOError as blocked:
                readiness = blocked.events if isinstance(blocked, Waiting) else WRITE
                self._loop.watch(self._connection.fileno(), readiness, lambda events: self._flush())
                break
            except OSError:
                self._drop()
                break
            self._taken(sent)
        else:
            if self._connection is not None:
                self._loop.forget(self._connection.fileno())
        if self._connection is None and self._pending and not self._closing:
            self._retrying = True
            self._loop.later(_RETRY_SECONDS, self._again)
        if self._told != self.lagging and not self._closing:
            self._told = self.lagging
            self._settle()

    def _taken(self, sent: int) -> None:
        message = self._pending.popleft()
        self._size -= len(message)
        if self._stream and sent < len(message):
            self._pending.appendleft(message[sent:])
            self._size += len(message) - sent

    def _again(self) -> None:
        if self._retrying and not self._closing:
            self._retrying = False
            self._flush()

    def _drop(self) -> None:
        if self._connection is not None:
            self._loop.forget(self._connection.fileno())
            self._connection.close()
            self._connection = None
