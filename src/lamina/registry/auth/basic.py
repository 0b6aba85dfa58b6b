"""Basic authentication (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from lamina.errors import Unauthorized
from lamina.registry.auth.grants import Grants
from lamina.registry.auth.htpasswd import Htpasswd
from lamina.registry.call import Identity


class BasicGate:
    """Names and passwords with each request."""

    def __init__(self, users: Htpasswd, grants: Grants, service: str) -> None:
        self._users = users
        self._grants = grants
        self._service = service

    async def identify(self, headers: Mapping[str, str]) -> Identity:
        pair = read_basic(headers.get("Authorization"))
        if pair is None:
            return Identity()
        if not await self._users.check(*pair):
            raise Unauthorized("The name or the password is wrong")
        return Identity(pair[0])

    def allows(self, identity: Identity, repository: str, action: str) -> bool:
        return self._grants.allows(identity, repository, action)

    def challenge(self, scope: str | None, base: str, problem: str = "") -> str | None:
        return f'Basic realm="{self._service}"'


def read_basic(header: str | None) -> tuple[str, str] | None:
    """Name and password of an Authorization header; None where there is none. Raises Unauthorized for a broken one."""
    if not header:
        return None
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized("Only basic authentication is taken here")
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise Unauthorized("The Authorization header is malformed") from error
    if not colon:
        raise Unauthorized("The Authorization header is malformed")
    return user, password
