"""What is known of a build beside its images: who asked for what, and when it began."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.api.build import BuildRequest
from lamina.formats.digest import Digest

FRONTEND = "dockerfile.v0"
# Attributes of a frontend that say something of the machine, or are told elsewhere.
_HOST_ONLY = ("cgroup-parent", "image-resolve-mode", "platform", "cache-imports", "multi-platform")
_USERINFO = re.compile(r"(?<=://)[^/\s?#]+@")  # a password may hold an @ of its own


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """One build. `arguments` are the frontend's attributes, `folders` the names of folders that its client sent.

    `context` is the address of the files, where the daemon fetched them. `vcs` is what the client tells of its
    repository. A graph that the client sent has no `frontend`. `started_ns` is in nanoseconds since the epoch.
    """

    arguments: Mapping[str, str]
    folders: tuple[str, ...] = ()
    context: str = ""
    dockerfile: str = ""
    vcs: Mapping[str, str] = field(default_factory=dict)
    frontend: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    started_ns: int = field(default_factory=time.time_ns)

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> BuildFacts:
        """Return the facts in a frontend's attributes. Rule: moby/buildkit, provenance/predicate.go, FilterArgs."""
        key = attributes.get("contextkey", "context")
        address = without_credentials(attributes.get("context", ""))
        arguments, vcs = {}, {}
        for name, value in attributes.items():
            if name.startswith("vcs:"):
                vcs[name.removeprefix("vcs:")] = without_credentials(value)
            elif name in ("context", "filename", key, *_HOST_ONLY) or name.startswith("attest:"):
                continue
            else:
                arguments[name] = without_credentials(value) if name.startswith("context:") else value
        folders = () if address else (key, attributes.get("dockerfilekey", "dockerfile"))
        return cls(arguments, folders, address, attributes.get("filename", ""), vcs, FRONTEND)


def attributes_of(request: BuildRequest) -> dict[str, str]:
    """Return a request as the attributes of a frontend, as far as they decide what is built."""
    named = {"context": request.remote, "filename": request.dockerfile, "target": request.target}
    attributes = {name: value for name, value in named.items() if value}
    attributes |= {f"build-arg:{name}": value or "" for name, value in request.build_args.items()}
    attributes |= {f"label:{name}": value for name, value in request.labels.items()}
    if request.network not in ("", "default"):
        attributes["force-network-mode"] = request.network
    return attributes | ({"no-cache": ""} if request.no_cache else {})


def without_credentials(address: str) -> str:
    """Return an address without the name and password in it."""
    return _USERINFO.sub("", address)


def digest_set(digest: Digest) -> dict[str, str]:
    """Return a digest as in-toto's documents have it."""
    return {digest.algorithm: digest.encoded}
