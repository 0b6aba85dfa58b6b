"""A plain HTTP client of a daemon's Unix socket, that sends what no well-behaved one would."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

PATIENCE = 30  # seconds an answer may take before it counts as a hang


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        assert self.headers["content-type"] == "application/json"  # Docker's client reads no other
        return str(self.json["message"])

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]


@dataclass(frozen=True)
class Http:
    """Requests to a daemon's Unix socket."""

    path: str

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("docker", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        connection.sock.connect(self.path)
        return connection

    def __call__(self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """A body that is no bytes goes as JSON."""
        given = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            connection.request(method, target, body, given)
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, fields, response.read())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """What comes back for these very bytes, until the daemon closes or falls silent."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(self.path)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            heard = b""
            while more := connection.recv(65536):
                heard += more
            return heard
