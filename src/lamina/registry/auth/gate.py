"""The gate that every request passes: an identity from its Authorization header, and a judgement on its action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lamina.registry.call import Identity


class Gate(Protocol):
    """Knows clients and their rights."""

    async def identify(self, headers: Mapping[str, str]) -> Identity:
        """Who sends these headers; anonymous is an identity too. Raises Unauthorized for bad credentials."""
        ...

    def allows(self, identity: Identity, repository: str, action: str) -> bool:
        """Whether they may `pull`, `push` or `delete` there."""
        ...

    def challenge(self, scope: str | None, base: str, problem: str = "") -> str | None:
        """The WWW-Authenticate header that asks for (better) credentials; None where there is no use in any.

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
