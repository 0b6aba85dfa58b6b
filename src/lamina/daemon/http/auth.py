"""Credentials in headers: `X-Registry-Auth` (one registry) and `X-Registry-Config` (several)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from lamina.daemon.http.call import decode
from lamina.distribution import Credentials
from lamina.errors import Forbidden, InvalidInput, Unauthorized


class AuthConfig(msgspec.Struct, rename="lower"):
    """What Docker's clients send for a registry; `auth` is base64 of name:password where these are not given."""

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""

    def credentials(self) -> Credentials | None:
        """None where nothing was given: then the client is anonymous."""
        name, password = self.username, self.password
        if self.auth and not name:
            name, _, password = _base64(self.auth, "auth").decode(errors="replace").partition(":")
        if not (name or self.identitytoken or self.registrytoken):
            return None
        return Credentials(name, password, self.identitytoken, self.registrytoken)


@contextmanager
def without_prompts() -> Iterator[None]:
    """Turns Unauthorized into Forbidden: on a 401 Docker's clients ask for a password, and the reason is lost."""
    try:
        yield
    except Unauthorized as error:
        raise Forbidden(error.message, advice=error.advice, **error.facts) from error


def auth_header(text: str) -> Credentials | None:
    """`X-Registry-Auth`. Raises InvalidInput."""
    if not text:
        return None
    return decode(_base64(text, "X-Registry-Auth") or b"{}", AuthConfig, "X-Registry-Auth").credentials()


def config_header(text: str) -> dict[str, Credentials]:
    """`X-Registry-Config`: credentials by registry, empty ones left out. Raises InvalidInput."""
    if not text:
        return {}
    raw = _base64(text, "X-Registry-Config") or b"{}"
    found = decode(raw, dict[str, AuthConfig], "X-Registry-Config")
    return {name: known for name, auth in found.items() if (known := auth.credentials()) is not None}


def _base64(text: str, name: str) -> bytes:
    """Docker writes URL-safe base64; both alphabets and missing padding are taken."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"{name} is not base64: {error}") from error
