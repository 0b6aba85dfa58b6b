"""Registries made up by a test: an HTTP server of which each request is answered by a function."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """What came. Its body is read with `read`, so that a test may leave some of it."""

    method: str
    path: str
    headers: dict[str, str]
    read: Callable[[int], bytes]

    @property
    def length(self) -> int:
        return int(self.headers.get("Content-Length", "0"))


@dataclass(frozen=True)
class Reply:
    """What goes back: bytes get a Content-Length, other bodies go out in chunks. Status 0 hangs up instead."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


class Scripted:
    """A server at `address`, with what it heard, and how many bytes of bodies it got rid of."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.heard: list[Request] = []
        self.sent = 0
        self._answer = answer
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with suppress(OSError):
                    super().handle_one_request()
                    return
                self.close_connection = True

            def respond(self) -> None:
                request = Request(self.command, self.path, dict(self.headers), self.rfile.read)
                outer.heard.append(request)
                reply = outer._answer(request)
                if not reply.status:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if isinstance(reply.body, bytes):
                    if "Content-Length" in reply.headers:
                        self.close_connection = True  # it may be a lie
                    else:
                        self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    if request.method != "HEAD":
                        self.wfile.write(reply.body)
                        outer.sent += len(reply.body)
                    return
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in reply.body:
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    outer.sent += len(piece)
                self.wfile.write(b"0\r\n\r\n")

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = respond

            def log_message(self, *arguments: object) -> None:
                return

        return Handler


@contextmanager
def scripted(answer: Callable[[Request], Reply]) -> Iterator[Scripted]:
    """Serve until the block ends."""
    registry = Scripted(answer)
    thread = threading.Thread(target=registry.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield registry
    finally:
        registry.server.shutdown()
        registry.server.server_close()
        thread.join()
