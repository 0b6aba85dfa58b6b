"""Sending a daemon more than it can hold, and seeing that it needs no memory for that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.api import Http
from support.hostile import Answer, Target
from support.memory import MIB, growth


@contextmanager
def small(target: Target, most: int = 200 * MIB) -> Iterator[None]:
    """Assert that the daemon needs little more memory than before."""
    assert target.daemon.process is not None
    with growth(target.daemon.process.pid) as grown:
        yield
    assert grown.bytes < most, f"{grown.bytes >> 20} MiB"
    assert target.daemon.answers()


def send(target: Target, method: str, path: str, pieces: Iterator[bytes], **headers: str) -> Answer:
    """Send a body in chunks as long as the daemon takes them."""
    connection = Http(str(target.daemon.socket)).connect()
    connection.sock.settimeout(120)
    try:
        connection.putrequest(method, path)
        connection.putheader("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        try:
            for piece in filter(None, pieces):
                connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())
    finally:
        connection.close()
