"""A package as a value, and its package URL.

Rule: package-url/purl-spec, PURL-SPECIFICATION.rst and PURL-TYPES.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

_LONGEST = 1024  # characters of a text that an image's file gives


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One package. `kind` is the type of its package URL: deb, apk, rpm, pypi or npm.

    `namespace` is the distribution, or the scope of a Node package. `path` is the file that tells of it.
    """

    kind: str
    name: str
    version: str
    namespace: str = ""
    architecture: str = ""
    license: str = ""
    supplier: str = ""
    path: str = ""
    qualifiers: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def url(self) -> str:
        """Return the package URL."""
        parts = [self.kind]
        if self.namespace:
            parts.append(quote(self.namespace, safe=""))
        parts.append(quote(self.name, safe=""))
        version = f"@{quote(self.version, safe=':')}" if self.version else ""
        named = {"arch": self.architecture, **self.qualifiers}
        query = "&".join(f"{key}={quote(value, safe='.-_~:')}" for key, value in sorted(named.items()) if value)
        return f"pkg:{'/'.join(parts)}{version}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Distribution:
    """The system in an image, as its os-release tells: `id` such as "debian", `version` such as "12"."""

    id: str = ""
    version: str = ""

    @property
    def qualifiers(self) -> dict[str, str]:
        """Return what package URLs of the distribution's packages say of it."""
        return {"distro": f"{self.id}-{self.version}"} if self.id and self.version else {}


def cut(text: str | None) -> str:
    """Return a text of an image's file on one line, and no longer than a kilobyte."""
    return " ".join((text or "").split())[:_LONGEST]
