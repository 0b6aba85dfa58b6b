"""Who may use the dashboard: one-time tokens in links, sessions in cookies, and what web pages of others may not do.

A dashboard is as powerful as the daemon's socket, and every program and web page on the machine can reach its port.
Four rules keep them out.

- A link holds a token that works once, for ten minutes. It is exchanged for a session, whose cookie no script can read
  and no other site's request carries (`HttpOnly`, `SameSite=Strict`).
- `Host` must be a name of the dashboard with its port, so that a page cannot have its own name lead here (DNS
  rebinding).
- Cookies do not know ports. Links therefore use a name of their own, `lamina.localhost`: a browser that visits another
  server on 127.0.0.1, such as a container's published port, does not send that server the session.
- A request that changes something has an `Origin`, which must be the dashboard, and a header that other sites' pages
  cannot set. So has a WebSocket, but for the header, which browsers cannot add there.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping

from lamina.errors import Forbidden, Unauthorized

HOST = "lamina.localhost"  # browsers take every name below localhost for this machine (RFC 6761, section 6.3)
HEADER = "X-Lamina-Dashboard"
_NAMES = (HOST, "localhost", "127.0.0.1", "[::1]")
_READING = ("GET", "HEAD")
_TOKEN_SECONDS = 600.0
_SESSION_SECONDS = 12 * 3600.0  # without a request
_MOST = 256  # tokens and sessions, each


class Access:
    """The tokens and sessions of one dashboard, and the checks of its requests. Not thread-safe but for `link`."""

    def __init__(self, port: int, *, read_only: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.cookie = f"lamina-dashboard-{port}"
        self.read_only = read_only
        self._port = port
        self._hosts = frozenset(f"{name}:{port}" for name in _NAMES)
        self._tokens = _Secrets(clock)
        self._sessions = _Secrets(clock)

    def link(self) -> str:
        """Return a link that opens the dashboard once."""
        return f"http://{HOST}:{self._port}/enter?token={self._tokens.new(_TOKEN_SECONDS)}"

    def enter(self, token: str) -> str:
        """Exchange a token for a session. Raise Unauthorized for a token that is used, old or wrong."""
        if not self._tokens.take(token):
            raise Unauthorized("this link has been used or is too old", advice="Get a new one: lamina dashboard")
        return self._sessions.new(_SESSION_SECONDS)

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Raise Forbidden unless the request is for a name of the dashboard."""
        if headers.get("Host", "").lower() not in self._hosts:
            raise Forbidden("the dashboard does not go by this name")

    def check_session(self, cookies: Mapping[str, str]) -> None:
        """Raise Unauthorized without a session."""
        if not self._sessions.extend(cookies.get(self.cookie, ""), _SESSION_SECONDS):
            raise Unauthorized("you are not signed in", advice="Get a link: lamina dashboard")

    def check_request(self, method: str, headers: Mapping[str, str]) -> None:
        """Raise Forbidden for a request of another site's page, and for a change where nothing may be changed."""
        if headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise Forbidden("another web page may not use the dashboard")
        if method in _READING:
            return
        self.check_origin(headers)
        if HEADER not in headers:
            raise Forbidden(f"a change needs the header {HEADER}")
        self.check_change()

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Raise Forbidden unless the dashboard's own page sends the request."""
        if headers.get("Origin", "").lower() != f"http://{headers.get('Host', '').lower()}":
            raise Forbidden("another web page may not use the dashboard")

    def check_change(self) -> None:
        """Raise Forbidden where the dashboard may only be looked at."""
        if self.read_only:
            raise Forbidden("this dashboard is read-only")


class _Secrets:
    """Secrets with an end. Only their digests are kept, so that no comparison's time tells anything about them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: dict[bytes, float] = {}  # by digest, the next to end first

    def new(self, seconds: float) -> str:
        """Return a new secret. The oldest makes room for it."""
        secret = secrets.token_urlsafe(32)
        while len(self._ends) >= _MOST:
            self._ends.pop(next(iter(self._ends)))
        self._ends[_digest(secret)] = self._clock() + seconds
        return secret

    def take(self, secret: str) -> bool:
        """Return whether the secret is good, for the last time."""
        return self._ends.pop(_digest(secret), 0.0) > self._clock()

    def extend(self, secret: str, seconds: float) -> bool:
        """Return whether the secret is good. It is from now on for `seconds`."""
        if not self.take(secret):
            return False
        self._ends[_digest(secret)] = self._clock() + seconds
        return True


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()
