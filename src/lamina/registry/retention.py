"""Retention: which manifests may go, by the configuration's rules. A plan first; deleting can be undone for a while."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from lamina.errors import Forbidden
from lamina.registry.config import DAY, Retention, matches
from lamina.registry.metadata import inventory, manifests
from lamina.registry.metadata.inventory import ListedManifest
from lamina.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class PlannedDeletion:
    """One manifest that a rule lets go, with the tags it has."""

    repository: str
    digest: str
    tags: tuple[str, ...]


async def plan(registry: Registry) -> list[PlannedDeletion]:
    """Return what the rules would delete now. The first rule whose patterns fit a repository counts for it.

    Manifests with an immutable tag stay, whatever the rules say.
    """
    planned = []
    for repository in await registry.database.read(inventory.repositories):
        rule = next((r for r in registry.config.retention if _covers(r, repository.name)), None)
        if rule is not None:
            listed = await registry.database.read(inventory.manifests, repository.name)
            immutable = partial(registry.config.is_immutable, repository.name)
            going = [m for m in doomed(rule, listed, registry.now()) if not any(map(immutable, m.tags))]
            planned += [PlannedDeletion(repository.name, m.digest, m.tags) for m in going]
    return planned


async def apply(registry: Registry) -> list[PlannedDeletion]:
    """Delete what the rules let go, and return what was deleted."""
    deleted = []
    for planned in await plan(registry):
        immutable = partial(registry.config.is_immutable, planned.repository)
        query, now = manifests.delete, registry.now()
        with suppress(Forbidden):  # it got an immutable tag since the plan was made
            if await registry.database.write(query, planned.repository, planned.digest, immutable, now):
                deleted.append(planned)
    return deleted


def doomed(rule: Retention, listed: list[ListedManifest], now: float) -> list[ListedManifest]:
    """Return the manifests of one repository (newest first) that a rule deletes.

    A manifest stays if any of the rule's conditions keeps it, if an index lists it, or if it is about another manifest.
    Without tags it goes as soon as it is old enough, unless `untagged` is off.
    """
    newest = {m.digest for m in [m for m in listed if m.tags][: rule.keep_newest or 0]}
    return [m for m in listed if not m.kept and m.digest not in newest and not _kept(rule, m, now)]


def _kept(rule: Retention, manifest: ListedManifest, now: float) -> bool:
    if rule.keep_pulled_days is not None and now - manifest.pulled < rule.keep_pulled_days * DAY:
        return True
    if rule.keep_pushed_days is not None and now - manifest.pushed < rule.keep_pushed_days * DAY:
        return True
    if not manifest.tags:
        return not rule.untagged
    return any(fnmatchcase(tag, pattern) for tag in manifest.tags for pattern in rule.keep_tags)


def _covers(rule: Retention, repository: str) -> bool:
    return any(matches(pattern, repository) for pattern in rule.repositories)
