"""BuildKit's key of a step: the digest of its operation, and links to the keys of what it stands on.

Rule: moby/buildkit, solver/cachekey.go, solver/edge.go and solver/exporter.go, as of v0.25. A key does not hold the
keys below it. The links of a cache's records do, and each input may be reached by any of several links.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

CONTENT = -1  # the output number of a key that stands for files instead of an operation


@dataclass(frozen=True)
class KeyLink:
    """One way to reach an input. `selector` is the digest of the paths that the operation reads, "" for none."""

    record: KeyRecord
    selector: str = ""


@dataclass(frozen=True, eq=False)
class KeyRecord:
    """The key of one step. `inputs` has the links to each input, of which any one counts.

    `identity` is a digest of the whole key, links included.
    """

    digest: str
    inputs: tuple[tuple[KeyLink, ...], ...] = field(default=(), repr=False)
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        links = [[[link.selector, link.record.identity] for link in each] for each in self.inputs]
        object.__setattr__(self, "identity", digest_of(json.dumps([self.digest, links]).encode()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyRecord) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


Output = tuple[KeyRecord, ...]
"""The keys of one operation's result. The result of `FROM scratch` has none."""

SCRATCH: Output = ()


def record_of(operation: bytes, inputs: Sequence[Sequence[KeyLink]] = ()) -> KeyRecord:
    """Return the key of an operation's first output. `operation` are the bytes that stand for it."""
    return KeyRecord(output_digest(digest_of(operation), 0), tuple(tuple(links) for links in inputs))


def content_record(digests: Sequence[str]) -> KeyRecord:
    """Return the key that stands for files: `digests` are the hashes of what each selector names."""
    return KeyRecord(output_digest(digest_of("\0".join(digests).encode()), CONTENT))


def image_record(chain_id: str) -> KeyRecord:
    """Return the key of an image that stands for its layers. Rule: source/containerimage/pull.go."""
    return record_of(f"buildkit.source.v0:{chain_id}".encode())


def links_to(output: Output, selector: str = "") -> tuple[KeyLink, ...]:
    """Return a link to each key of a result."""
    return tuple(KeyLink(record, selector) for record in output)


def digest_of(data: bytes) -> str:
    """Return a digest as Go's go-digest writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def output_digest(digest: str, number: int) -> str:
    """Return the digest under which a cache keeps one output of an operation."""
    return digest_of(f"{digest}@{number}".encode())
