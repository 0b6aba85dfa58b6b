"""Digests: the names of blobs (OCI image-spec, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lamina.errors import InvalidInput

if TYPE_CHECKING:
    from hashlib import _Hash

LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}  # hex digits of each algorithm lamina knows
DEFAULT = "sha256"
_FORM = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm and the hash it gave, in lower-case hex. `str()` gives `sha256:…`."""

    algorithm: str
    encoded: str

    def __post_init__(self) -> None:
        length = LENGTHS.get(self.algorithm)
        if length is None:
            raise InvalidInput(
                f"The digest algorithm {self.algorithm!r} is not known",
                advice=f"Known are {', '.join(LENGTHS)}.",
                algorithm=self.algorithm,
            )
        if len(self.encoded) != length or not _HEX.fullmatch(self.encoded):
            raise InvalidInput(f"The digest {self} does not have {length} lower-case hex digits", digest=str(self))

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"

    @property
    def short(self) -> str:
        """The first 12 hex digits, as Docker shows IDs."""
        return self.encoded[:12]

    def hasher(self) -> _Hash:
        """Return a fresh hash object of this digest's algorithm."""
        return new_hasher(self.algorithm)

    def matches(self, data: bytes) -> bool:
        """Return whether `data` has this digest."""
        return Digest.of(data, self.algorithm) == self

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Return the digest written as `algorithm:hex`. Raise InvalidInput for other text or an unknown algorithm."""
        if not _FORM.fullmatch(text):
            raise InvalidInput(f"{text[:200]!r} is not a digest", advice="Write it as sha256:<64 hex digits>.")
        algorithm, _, encoded = text.partition(":")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes, algorithm: str = DEFAULT) -> Digest:
        """Return the digest of `data`."""
        hasher = new_hasher(algorithm)
        hasher.update(data)
        return cls(algorithm, hasher.hexdigest())

    @classmethod
    def from_hasher(cls, hasher: _Hash) -> Digest:
        """Return the digest of what `hasher` (made by `new_hasher` or hashlib) has seen so far."""
        return cls(hasher.name, hasher.hexdigest())


def new_hasher(algorithm: str = DEFAULT) -> _Hash:
    """Return a hashlib object for `algorithm`. Raise InvalidInput where lamina does not know it."""
    if algorithm not in LENGTHS:
        raise InvalidInput(f"The digest algorithm {algorithm!r} is not known", algorithm=algorithm)
    return hashlib.new(algorithm)
