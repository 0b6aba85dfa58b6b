"""A registry that stops in the middle: it gives half a layer, or takes half of one, and then waits for ever."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lamina.formats.descriptor import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from lamina.formats.digest import Digest

SIZE = 64 << 20  # bytes that the layer is said to have
SENT = 1 << 20  # bytes of it that come


class StallingRegistry:
    """`stalled` is set once a client has half of what it wants; `left` once its connection has ended."""

    def __init__(self) -> None:
        self.stalled = threading.Event()
        self.left = threading.Event()
        self._over = threading.Event()
        config = {"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {"type": "layers"}}
        config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{'1' * 64}"]}
        self.config = json.dumps(config).encode()
        described = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": OCI_CONFIG,
                "digest": str(Digest.of(self.config)),
                "size": len(self.config),
            },
            "layers": [{"mediaType": OCI_LAYER, "digest": f"sha256:{'2' * 64}", "size": SIZE}],
        }
        self.manifest = json.dumps(described).encode()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if "/manifests/" in self.path:
                    self.reply(200, registry.manifest, {"Content-Type": OCI_MANIFEST})
                elif self.path.endswith(hashlib.sha256(registry.config).hexdigest()):
                    self.reply(200, registry.config)
                elif "/blobs/" in self.path:
                    self.send_response(200)
                    self.send_header("Content-Length", str(SIZE))
                    self.end_headers()
                    self.wfile.write(os.urandom(SENT))
                    registry.stall(self)
                else:
                    self.reply(200, b"{}")

            def do_HEAD(self) -> None:
                self.reply(404, b"")

            def do_POST(self) -> None:
                self.reply(202, b"", {"Location": f"{self.path}1"})

            def do_PATCH(self) -> None:
                self.rfile.read(1)
                registry.stall(self)

            def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Stay silent."""

        return Handler

    def stall(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Wait until the client hangs up or the test is over, without taking one more byte."""
        handler.close_connection = True
        poll = select.poll()
        poll.register(handler.connection, select.POLLRDHUP)
        self.stalled.set()
        while not self._over.is_set():
            if poll.poll(50):
                self.left.set()
                return


@contextmanager
def stalling_registry() -> Iterator[StallingRegistry]:
    """A registry while the block runs."""
    registry = StallingRegistry()
    try:
        yield registry
    finally:
        registry.close()
