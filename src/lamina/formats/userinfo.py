"""The user and password that an http(s) address may hold (RFC 3986, 3.2.1): apart from it, or out of sight."""

from __future__ import annotations

import re
from urllib.parse import unquote

_USERINFO = re.compile(r"(?P<scheme>https?://)(?P<userinfo>[^/?#]*)@", re.IGNORECASE)
_HIDDEN = "xxxxx"


def hide_userinfo(text: str) -> str:
    """Return `text` with user and password out of sight in every http(s) address in it."""
    return _USERINFO.sub(rf"\g<scheme>{_HIDDEN}@", text)


def split_userinfo(url: str) -> tuple[str, str]:
    """Return the address without user and password, and these as "user:password" without percent-encoding.

    The second is empty where the address holds none, or is no http(s) address.
    """
    match = _USERINFO.match(url)
    if match is None:
        return url, ""
    user, _, password = match["userinfo"].partition(":")
    return match["scheme"] + url[match.end() :], f"{unquote(user)}:{unquote(password)}"
