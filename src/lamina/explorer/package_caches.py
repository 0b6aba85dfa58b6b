"""What package managers leave in images, and how to keep it out."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOME = r"(?:root|home/[^/]+)"


@dataclass(frozen=True, slots=True)
class PackageCache:
    """Paths of a cache, as a pattern that matches from the root, and what to change in the instruction."""

    name: str
    pattern: str
    advice: str


def _mounted(target: str) -> str:
    return f"use RUN --mount=type=cache,target={target}, which keeps it out of the layer"


CACHES = (
    PackageCache(
        "apt-lists",
        r"var/lib/apt/lists/",
        f"End the same RUN with rm -rf /var/lib/apt/lists/*, or {_mounted('/var/lib/apt/lists')}.",
    ),
    PackageCache(
        "apt-archives",
        r"var/cache/apt/",
        f"End the same RUN with apt-get clean, or {_mounted('/var/cache/apt')}.",
    ),
    PackageCache("debconf", r"var/cache/debconf/.*-old$", "End the same RUN with rm -f /var/cache/debconf/*-old."),
    PackageCache("apk", r"(?:var/cache|etc)/apk/(?:cache/|APKINDEX)", "Use apk add --no-cache."),
    PackageCache(
        "rpm",
        r"var/(?:cache|lib)/(?:dnf|yum|libdnf5|zypp)/(?!modules\.d/)(?!history)",
        f"End the same RUN with dnf clean all, or {_mounted('/var/cache/dnf')}.",
    ),
    PackageCache("pacman", r"var/cache/pacman/pkg/", "End the same RUN with pacman -Scc --noconfirm."),
    PackageCache(
        "pip", rf"{_HOME}/\.cache/pip/", f"Use pip install --no-cache-dir, or {_mounted('/root/.cache/pip')}."
    ),
    PackageCache("uv", rf"{_HOME}/\.cache/uv/", f"Use uv with --no-cache, or {_mounted('/root/.cache/uv')}."),
    PackageCache("poetry", rf"{_HOME}/\.cache/pypoetry/", f"Remove it in the same RUN, or {_mounted('/root/.cache')}."),
    PackageCache(
        "npm",
        rf"{_HOME}/\.npm/_(?:cacache|logs)/",
        f"End the same RUN with npm cache clean --force, or {_mounted('/root/.npm')}.",
    ),
    PackageCache(
        "yarn",
        rf"(?:{_HOME}/\.cache/yarn/|usr/local/share/\.cache/yarn/)",
        f"End the same RUN with yarn cache clean, or {_mounted('/usr/local/share/.cache/yarn')}.",
    ),
    PackageCache(
        "go",
        rf"(?:{_HOME}/\.cache/go-build/|(?:root/)?go/pkg/mod/cache/)",
        f"Remove it in the same RUN, or {_mounted('/root/.cache')}.",
    ),
    PackageCache(
        "cargo",
        rf"(?:{_HOME}/\.cargo|usr/local/cargo)/registry/",
        f"Remove it in the same RUN, or {_mounted('/usr/local/cargo/registry')}.",
    ),
    PackageCache("maven", rf"{_HOME}/\.m2/repository/", f"Remove it in the same RUN, or {_mounted('/root/.m2')}."),
    PackageCache("gradle", rf"{_HOME}/\.gradle/caches/", f"Remove it in the same RUN, or {_mounted('/root/.gradle')}."),
    PackageCache(
        "composer",
        rf"{_HOME}/\.(?:cache/)?composer/(?:cache|files)/",
        f"Remove it in the same RUN, or {_mounted('/tmp/cache')}.",
    ),
    PackageCache("gem", r"usr/(?:local|lib/ruby)/(?:.*/)?gems/[^/]+/cache/", "Remove it in the same RUN."),
    PackageCache("temporary", r"(?:var/)?tmp/.", "Remove it in the RUN that wrote it."),
)

_ANY = re.compile("|".join(f"(?P<c{number}>{cache.pattern})" for number, cache in enumerate(CACHES)))


def cache_of(path: str) -> PackageCache | None:
    """Return the cache that the file at a relative `path` belongs to; None for a file that the image needs."""
    match = _ANY.match(path)
    return CACHES[int((match.lastgroup or "c0")[1:])] if match else None
