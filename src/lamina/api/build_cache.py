"""The build cache as its users see it: objects, and which of them a prune is to take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lamina.errors import InvalidInput
from lamina.formats.matching import Filters
from lamina.formats.times import format_time, parse_moment

KINDS = ("regular", "exec.cachemount", "source.local")
_FILTERS = ("description", "id", "inuse", "label", "mutable", "private", "shared", "type", "unused-for", "until")
_TRUE = ("", "1", "true")


class CacheObject(msgspec.Struct, frozen=True, kw_only=True):
    """One object of the cache: the layer of a step, a cache mount, or the saved files of a context.

    `type` is BuildKit's word for that. `size` is in bytes on disk, `used` in seconds since 1970. `kept_for` names who
    else needs it, such as "image app:latest"; an object that nobody else needs can be pruned.
    """

    id: str
    type: str
    description: str = ""
    size: int = 0
    used: float = 0.0
    in_use: bool = False
    kept_for: str = ""

    @property
    def reclaimable(self) -> bool:
        """Return whether a prune may take it."""
        return not self.in_use and not self.kept_for

    def to_json(self) -> dict[str, Any]:
        """Return the object as the Engine API has it, with `KeptFor` beside Docker's members."""
        used = format_time(int(self.used * 1e9))
        return {
            "ID": self.id,
            "Type": self.type,
            "Description": self.description,
            "InUse": self.in_use,
            "Shared": bool(self.kept_for),
            "Size": self.size,
            "CreatedAt": used,
            "LastUsedAt": used,
            "UsageCount": 0,
            "KeptFor": self.kept_for,
        }


class CacheLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a prune leaves, in bytes. 0 is no limit.

    `reserved` is never touched, `max_used` is the most that stays, `min_free` is what must be free on the disk. With
    `reserved` alone nothing above it stays.
    """

    reserved: int = 0
    max_used: int = 0
    min_free: int = 0

    def to_keep(self, total: int, free: int) -> int:
        """Return how many of `total` bytes may stay. Rule: moby/buildkit, cache/manager.go, calculateKeepBytes."""
        if not self.max_used and not self.min_free:
            return self.reserved
        keep = self.max_used or total
        if free < self.min_free:
            keep = min(keep, total - (self.min_free - free))
        return max(keep, self.reserved)


def check_filters(filters: Filters) -> None:
    """Raise InvalidInput for a filter that the cache does not have, or a value that it cannot read."""
    for name, values in filters.items():
        if name.rstrip("~=!") not in _FILTERS:
            raise InvalidInput(f"invalid filter '{name}'", advice=f"Known: {', '.join(_FILTERS)}.")
        for value in values if name in ("until", "unused-for") else ():
            parse_moment(value)


def matches(cache_object: CacheObject, filters: Filters) -> bool:
    """Return whether an object fits all filters; of the values of one, any."""
    return all(any(_fits(cache_object, name, value) for value in values) for name, values in filters.items() if values)


def parse_expressions(texts: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the filters in BuildKit's expressions: `type==regular`, `id~=abc`, `inuse`. Raise InvalidInput."""
    filters: dict[str, list[str]] = {}
    for text in texts:
        for part in filter(None, text.split(",")):
            match = re.fullmatch(r"\s*([\w.-]+)\s*(?:(==|~=|=)\s*(.*?))?\s*", part)
            if match is None:
                raise InvalidInput(f"invalid filter {text!r}", advice="Write name==value, or name~=value.")
            filters.setdefault(match[1].lower(), []).append(match[3] or "")
    check_filters(filters)
    return filters


def _fits(cache_object: CacheObject, name: str, value: str) -> bool:
    flags = {
        "inuse": cache_object.in_use,
        "mutable": cache_object.type == "exec.cachemount",
        "shared": bool(cache_object.kept_for),
        "private": not cache_object.kept_for,
    }
    if name in flags:
        return flags[name] is (value.lower() in _TRUE)
    if name in ("until", "unused-for"):
        return cache_object.used * 1e9 <= parse_moment(value)
    if name.startswith("label"):
        return name.endswith("!")  # no object has labels
    if name == "id":
        return cache_object.id.startswith(value) or cache_object.id.partition(":")[2].startswith(value)
    return value in cache_object.description if name == "description" else value == cache_object.type


def cache_object_of(document: Mapping[str, Any]) -> CacheObject:
    """Return the object in a document of the Engine API."""
    from lamina.formats.times import parse_time

    return CacheObject(
        id=document["ID"],
        type=document["Type"],
        description=document.get("Description", ""),
        size=document["Size"],
        used=parse_time(document["LastUsedAt"]) / 1e9 if document.get("LastUsedAt") else 0.0,
        in_use=document["InUse"],
        kept_for=document.get("KeptFor", ""),
    )
