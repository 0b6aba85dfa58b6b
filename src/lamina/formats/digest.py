"""Digests: the names of blobs (OCI image-spec, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from lamina.errors import InvalidInput

if TYPE_CHECKING:
    from hashlib import _Hash

LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}  # hex digits of each algorithm lamina knows
DEFAULT = "sha256"
_FORM = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEX = re.compile(r"[0-9a-f]+")


class Digest(str):
    """An algorithm and the hash it gave, in lower-case hex: a text like `sha256:…`, known to be well formed."""

    __slots__ = ()

    def __new__(cls, algorithm: str, encoded: str) -> Digest:
        """Raise InvalidInput for an algorithm that lamina does not know, and for a malformed hash."""
        text = f"{algorithm}:{encoded}"
        length = LENGTHS.get(algorithm)
        if length is None:
            raise InvalidInput(
                f"The digest algorithm {algorithm!r} is not known",
                advice=f"Known are {', '.join(LENGTHS)}.",
                algorithm=algorithm,
            )
        if len(encoded) != length or not _HEX.fullmatch(encoded):
            raise InvalidInput(f"The digest {text} does not have {length} lower-case hex digits", digest=text)
        return super().__new__(cls, text)

    def __reduce__(self) -> tuple[type[Digest], tuple[str, str]]:
        return Digest, (self.algorithm, self.encoded)

    @property
    def algorithm(self) -> str:
        """Return the name of the algorithm."""
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """Return the hash, in hex."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """Return the first 12 hex digits, as Docker shows IDs."""
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
