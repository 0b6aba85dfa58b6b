"""User and password in web addresses, and requests that browsers send on behalf of web pages.

A page may have its visitor's browser send requests to servers that only this browser reaches, such as a daemon on
127.0.0.1. Two rules keep pages out. Neither concerns a program, which sends none of these headers.

- Browsers say who asks. `Origin` comes with every request that may change something, and `Sec-Fetch-Site` with all
  that go to this machine or over TLS (Fetch Standard; Fetch Metadata Request Headers).
- A page can have its own name resolve to our address once it is loaded (DNS rebinding), and is then of the same origin.
  The browser still sends that name as `Host`, where a program on this machine sends an address or `localhost`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from lamina.errors import Forbidden

_USERINFO = re.compile(r"(?P<scheme>https?://)(?P<userinfo>[^/?#]*)@", re.IGNORECASE)
_HIDDEN = "xxxxx"
_TYPED = "none"  # an address that the user typed: no page is behind it
_SAME = "same-origin"  # a page that came from this server's name; reading, it sends no Origin


def hide_userinfo(text: str) -> str:
    """Return `text` with user and password out of sight in every http(s) address in it."""
    return _USERINFO.sub(rf"\g<scheme>{_HIDDEN}@", text)


def split_userinfo(url: str) -> tuple[str, str]:
    """Return the address without user and password, and "user:password" without percent-encoding.

    The second text is empty where the address holds no user, or is no http(s) address.
    """
    match = _USERINFO.match(url)
    if match is None:
        return url, ""
    user, _, password = match["userinfo"].partition(":")
    return match["scheme"] + url[match.end() :], f"{unquote(user)}:{unquote(password)}"


@dataclass(frozen=True, slots=True)
class BrowserGuard:
    """What a server takes from browsers: `origins` such as `https://ui.example`, and `hosts`, names of the server."""

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    def check_page(self, headers: Mapping[str, str]) -> None:
        """Raise Forbidden for a request of a web page, unless it is of one of `origins`.

        Programs that open a WebSocket name the server itself as the origin, by a name that `check_host` takes. No page
        has that origin, as the servers have no pages.
        """
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", _TYPED)
        if origin in self.origins or (origin is None and (site == _TYPED or (site == _SAME and self.origins))):
            return
        if self._is_own_websocket(headers):
            return
        raise Forbidden(
            f"a web page ({origin or site}) may not use this server",
            advice="Name the page's origin under allowed-origins in the server's configuration",
        )

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Raise Forbidden where `Host` is a name that might have been made to lead here by DNS rebinding."""
        text = headers.get("Host")
        if text is None or self._is_ours(_name(text)):
            return
        raise Forbidden(
            f"this server does not go by the name {text!r}",
            advice="Use an address or localhost, or name it under allowed-hosts in the server's configuration",
        )

    def _is_own_websocket(self, headers: Mapping[str, str]) -> bool:
        if headers.get("Upgrade", "").lower() != "websocket":
            return False
        host = headers.get("Host", "")
        return headers.get("Origin") in (f"http://{host}", f"https://{host}") and self._is_ours(_name(host))

    def _is_ours(self, name: str) -> bool:
        if name == "localhost" or name == os.uname().nodename.lower() or name in self.hosts:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _name(host: str) -> str:
    """Return the name or address in a `Host` header; "" where it is malformed."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
