"""Gates that every request passes: who asks, by its Authorization header, and what they may do where."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Protocol

from lamina.errors import Unauthorized
from lamina.registry.auth.htpasswd import Htpasswd
from lamina.registry.call import Identity
from lamina.registry.config import Grant, matches

ACTIONS = frozenset({"pull", "push", "delete"})
ANYONE = "anonymous"
ANY_USER = "*"


class Gate(Protocol):
    """Who a client is, and what it may do."""

    async def identify(self, headers: Mapping[str, str]) -> Identity:
        """Return who sends these headers; anonymous is an identity too. Raise Unauthorized for bad credentials."""
        ...

    def allows(self, identity: Identity, repository: str, action: str) -> bool:
        """Return whether the identity may `pull` from, `push` to or `delete` from the repository."""
        ...

    def challenge(self, scope: str | None, base: str, problem: str = "") -> str | None:
        """Return the WWW-Authenticate header that asks for credentials, or for others; None where all is open.

        `base` is the URL by which the client reached the registry, without a path; `problem` is what is wrong with the
        token that came (RFC 6750, section 3.1).
        """
        ...


class OpenGate:
    """Everyone may do everything."""

    async def identify(self, headers: Mapping[str, str]) -> Identity:
        return Identity()

    def allows(self, identity: Identity, repository: str, action: str) -> bool:
        return True

    def challenge(self, scope: str | None, base: str, problem: str = "") -> str | None:
        return None


class Grants:
    """The configuration's grants. Without any, known users may do everything, and others nothing."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._grants = tuple(grants)

    def allowed(self, user: str, repository: str) -> frozenset[str]:
        """Return the actions that `user` ("" for anonymous) may do in a repository."""
        if not self._grants:
            return ACTIONS if user else frozenset()
        actions: set[str] = set()
        for grant in self._grants:
            if _includes(grant.users, user) and any(matches(pattern, repository) for pattern in grant.repositories):
                actions.update(ACTIONS if "*" in grant.actions else grant.actions)
        return frozenset(actions) & ACTIONS

    def allows(self, identity: Identity, repository: str, action: str) -> bool:
        """Return whether an identity may do an action: by its token where it has one, else by the configuration."""
        if identity.grants is not None:
            return action in granted(identity.grants, repository)
        return action in self.allowed(identity.name, repository)


def granted(grants: Mapping[str, frozenset[str]], repository: str) -> frozenset[str]:
    """Return what a token grants in a repository."""
    return grants.get(repository, frozenset())


def _includes(users: tuple[str, ...], user: str) -> bool:
    return ANYONE in users or (bool(user) and (user in users or ANY_USER in users))


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
    """Return the name and the password of an Authorization header, or None. Raise Unauthorized for a broken one."""
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
