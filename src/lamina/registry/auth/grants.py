"""Which user may do what where, by the configuration's grants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lamina.registry.call import Identity
from lamina.registry.config import Grant
from lamina.registry.globs import matches

ACTIONS = frozenset({"pull", "push", "delete"})
ANYONE = "anonymous"
ANY_USER = "*"


class Grants:
    """Answers from the configuration: without any grants, known users may do everything and nobody else anything."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._grants = tuple(grants)

    def allowed(self, user: str, repository: str) -> frozenset[str]:
        """The actions that `user` ("" for anonymous) may do in a repository."""
        if not self._grants:
            return ACTIONS if user else frozenset()
        found: set[str] = set()
        for grant in self._grants:
            if _includes(grant.users, user) and any(matches(pattern, repository) for pattern in grant.repositories):
                found.update(ACTIONS if "*" in grant.actions else grant.actions)
        return frozenset(found) & ACTIONS

    def allows(self, identity: Identity, repository: str, action: str) -> bool:
        """Whether an identity may do an action: by its token where it has one, else by the configuration."""
        if identity.grants is not None:
            return action in granted(identity.grants, repository)
        return action in self.allowed(identity.name, repository)


def granted(grants: Mapping[str, frozenset[str]], repository: str) -> frozenset[str]:
    """What a token grants in a repository."""
    return grants.get(repository, frozenset())


def _includes(users: tuple[str, ...], user: str) -> bool:
    return ANYONE in users or (bool(user) and (user in users or ANY_USER in users))
