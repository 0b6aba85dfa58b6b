"""The annotations that a user asks an exporter for.

Rule: moby/buildkit, exporter/containerimage/exptypes, annotations.go: `annotation[-PLACE][[PLATFORM]].KEY=VALUE`. The
places are the manifest (the default), the index, and the descriptors that point at either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lamina.errors import InvalidInput
from lamina.formats.platform import Platform

_KEY = re.compile(r"annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)")
_PLACES = ("manifest", "index", "manifest-descriptor", "index-descriptor")


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation. `platform` is None for all platforms."""

    place: str
    platform: Platform | None
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Annotations:
    """The annotations of one export."""

    entries: tuple[Annotation, ...] = ()

    @classmethod
    def parse(cls, attributes: Mapping[str, str]) -> Annotations:
        """Return the annotations among an exporter's attributes. Raise InvalidInput for an unknown place."""
        entries = []
        for name, value in attributes.items():
            match = _KEY.fullmatch(name)
            if match is None:
                continue
            place = match[1] or "manifest"
            if place not in _PLACES:
                raise InvalidInput(
                    f"unrecognized annotation type {place}", advice=f"Known are {', '.join(_PLACES)}.", name=name
                )
            entries.append(Annotation(place, Platform.parse(match[2]) if match[2] else None, match[3], value))
        return cls(tuple(entries))

    def of(self, place: str, platform: Platform | None = None) -> dict[str, str]:
        """Return the annotations of a place: those for all platforms, then those for `platform`."""
        entries = [entry for entry in self.entries if entry.place == place]
        for_all = {entry.key: entry.value for entry in entries if entry.platform is None}
        return for_all | {entry.key: entry.value for entry in entries if platform and entry.platform == platform}

    def check(self, platforms: Iterable[Platform], *, several: bool) -> None:
        """Raise InvalidInput for a platform that the result does not have, and for an index that it will not have."""
        built_platforms = {platform.normalised() for platform in platforms}
        for entry in self.entries:
            if entry.platform is not None and entry.platform not in built_platforms:
                raise InvalidInput(f"invalid annotation: no platform {entry.platform} found in source")
            if entry.place.startswith("index") and not several:
                raise InvalidInput(
                    "index annotations not supported for single platform export",
                    advice="Annotate the manifest, or build for several platforms.",
                )
