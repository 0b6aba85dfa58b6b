"""Requests to one daemon: connections kept for reuse, API versions negotiated, errors turned into lamina's kinds."""

from __future__ import annotations

from _thread import allocate_lock  # threading, json, urllib and typing would be most of what a command loads

from lamina.cancellation import NEVER, Cancellation
from lamina.client.dial import Tls, dial
from lamina.client.wire import Reply, Wire
from lamina.errors import OUTCOMES, Corrupt, Internal, InvalidInput, LaminaError, Unavailable, Unsupported
from lamina.formats import quick_json
from lamina.formats.text import valid_unicode
from lamina.light import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from lamina.api.stream import Stream

    Query = Mapping[str, object]
    from collections.abc import Iterator
    from typing import Any

    from lamina.client.address import Address
    from lamina.client.sending import Body

NEWEST = (1, 50)  # the newest API this client knows how to speak
OLDEST = (1, 24)
KIND_BY_STATUS: dict[int, type[LaminaError]] = {
    found.http_status: kind for kind, found in OUTCOMES.items() if found.http_status != 500
}

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Transport:
    """Sends requests to the daemon at `address`. Thread-safe; `close` may be called twice.

    `version` fixes the API version ("1.41"); without it the first request asks the daemon and takes the newest that
    both know. `timeout` is for connecting, in seconds: answers may take as long as they need.
    """

    def __init__(
        self,
        address: Address,
        tls: Tls | None = None,
        version: str | None = None,
        timeout: float = 30.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.address = address
        self._tls = tls
        self._timeout = timeout
        self._version = version
        self._headers = dict(headers or {})
        self._idle: list[Wire] = []
        self._lock = allocate_lock()
        self._closed = False

    @property
    def version(self) -> str:
        """Return the API version in use, such as "1.41"; asks the daemon where that is not known yet."""
        if self._version is None:
            self._version = self._negotiate(self.ping())
        return self._version

    def check_version(self, needed: str, what: str) -> None:
        """Raise Unsupported where the API version in use is older than `needed`: the daemon would ignore `what`."""
        if _numbers(self.version) < _numbers(needed):
            raise Unsupported(
                f"{what} needs API version {needed}, and the daemon speaks {self.version}", advice="Use a newer daemon"
            )

    def ping(self) -> Mapping[str, str]:
        """Return the headers of `GET /_ping`, in lower case: `api-version`, `ostype`, `builder-version`, …"""
        reply = self._exchange("GET", "/_ping", {}, None)
        reply.read()
        _raise_for(reply.status, reply.reason, b"")
        return reply.headers

    def call(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        json_body: object = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        cancellation: Cancellation = NEVER,
    ) -> Reply:
        """Send one request; give its response with the body still to be read, by whoever called.

        `query` values of None and False are left out, True is "1", lists repeat the name, mappings become JSON.
        Raises the LaminaError kind that belongs to the status of an error response (304 is NotModified), and Cancelled
        from here or from whatever reads the body.
        """
        extra = dict(headers or {})
        if json_body is not None:
            body = encode(json_body)
            extra["Content-Type"] = "application/json"
        reply = self._exchange(method, self._target(path, query), extra, body, cancellation)
        if reply.status >= 400 or reply.status == 304:
            _raise_for(reply.status, reply.reason, reply.read())
        return reply

    def json(self, method: str, path: str, query: Query | None = None, **more: Any) -> Any:
        """Make a `call`, and return the body decoded from JSON; None where it is empty."""
        data = self.call(method, path, query, **more).read()
        return decode(data) if data.strip() else None

    def lines(self, method: str, path: str, query: Query | None = None, **more: Any) -> Iterator[Any]:
        """Make a `call`, and yield the JSON values of its body, one a line. Closing the iterator hangs up."""
        reply = self.call(method, path, query, **more)
        return _json_lines(reply)

    def hijack(self, path: str, query: Query | None = None, *, json_body: object = None, framed: bool) -> Stream:
        """POST with a request to take the connection over. Return the raw stream behind the response head.

        `framed` tells whether the output comes in Docker's 8-byte frames: it does for processes without a terminal.
        """
        extra = {"Connection": "Upgrade", "Upgrade": "tcp"}
        body = None
        if json_body is not None:
            extra["Content-Type"] = "application/json"
            body = encode(json_body)
        from lamina.api.stream import Stream

        wire = self._fresh()
        reply = wire.exchange("POST", self._target(path, query), {**self._headers, **extra}, body)
        if reply.status not in (101, 200):
            _raise_for(reply.status, reply.reason, reply.read())
        return Stream(wire.sock, bytes(wire.source.ahead), framed)

    def close(self) -> None:
        """Close idle connections; those in use close when their response was read."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for wire in idle:
            wire.close()

    def _exchange(
        self, method: str, target: str, extra: Mapping[str, str], body: Body, cancellation: Cancellation = NEVER
    ) -> Reply:
        cancellation.check()
        headers = {**self._headers, **extra}
        wire = self._take()
        if wire is not None and (body is None or isinstance(body, bytes)):
            try:
                return wire.exchange(method, target, headers, body, cancellation)
            except Unavailable as error:
                if not error.facts.get("early"):
                    raise  # not just a kept connection that the daemon ended meanwhile
        elif wire is not None:
            wire.close()
        return self._fresh().exchange(method, target, headers, body, cancellation)

    def _take(self) -> Wire | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _fresh(self) -> Wire:
        host = self.address.host if self.address.scheme == "tcp" else "docker"
        if self.address.scheme == "tcp":
            host = f"{host}:{self.address.port}"
        return Wire(dial(self.address, self._tls, self._timeout), host, self._done)

    def _done(self, wire: Wire, reusable: bool) -> None:
        with self._lock:
            keep = reusable and not self._closed
            if keep:
                self._idle.append(wire)
        if not keep:
            wire.close()

    def _target(self, path: str, query: Query | None) -> str:
        text = encode_query(query or {})
        prefix = self.address.path if self.address.scheme == "tcp" else ""
        return f"{prefix}/v{self.version}{path}" + (f"?{text}" if text else "")

    def _negotiate(self, headers: Mapping[str, str]) -> str:
        offered = _numbers(headers.get("api-version", "1.24"))
        if offered < OLDEST:
            raise InvalidInput(f"the daemon speaks API {_text(offered)}, too old for this client")
        return _text(min(offered, NEWEST))


def encode_query(query: Query) -> str:
    """Return a query string; see `Transport.call` for how values are written."""
    pairs: list[str] = []
    for name, value in query.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is None or item is False:
                continue
            text = "1" if item is True else encode(item).decode() if isinstance(item, Mapping) else str(item)
            pairs.append(f"{name}={quoted(text.encode('utf-8', 'surrogateescape'), ' ').replace(' ', '+')}")
    return "&".join(pairs)


def encode(value: object) -> bytes:
    """Return JSON for the daemon; bytes of names that are no UTF-8 become U+FFFD, as Docker's client sends them."""
    return valid_unicode(quick_json.dumps(value)).encode()


def encode_name(name: str, safe: str = "") -> str:
    """Return what stands for a name in the path of a request."""
    return quoted(valid_unicode(name).encode(), safe)


def quoted(data: bytes, safe: str = "") -> str:
    """Return bytes as a part of a URL (RFC 3986, 2.3): all but unreserved characters and `safe` are percent-encoded."""
    unescaped = _UNRESERVED | {*safe.encode()}
    return "".join(chr(byte) if byte in unescaped else f"%{byte:02X}" for byte in data)


def decode(data: bytes) -> Any:
    """Return the value of JSON from the daemon. Raise Corrupt for other text."""
    try:
        return quick_json.loads(data)
    except ValueError as error:
        raise Corrupt("the daemon sent something that is not JSON", got=data[:200]) from error


def _json_lines(reply: Reply) -> Iterator[Any]:
    try:
        for line in reply.body:
            if line.strip():
                yield decode(line)
    finally:
        reply.close()


def _raise_for(status: int, reason: str, data: bytes) -> None:
    if status < 400 and status != 304:
        return
    message = data.decode("utf-8", "replace").strip() or reason or f"HTTP status {status}"
    advice = None
    if message.startswith("{"):
        document = decode(data)
        message, advice = document.get("message", message), document.get("advice")
    kind = KIND_BY_STATUS.get(status, Internal if status >= 500 else InvalidInput)
    raise kind(message, advice=advice, status=status, from_daemon=True)


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.removeprefix("v").partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise InvalidInput(f"{version!r} is not an API version", advice="Write it like 1.41")
    return int(major), int(minor)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
