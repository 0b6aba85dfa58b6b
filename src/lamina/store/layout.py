"""Where things lie under a data root. The one place that knows file names."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lamina.formats.digest import LENGTHS, Digest
from lamina.linux.privacy import private_directory

PARTIAL_PREFIX = "partial-"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one data root: `blobs/ALGORITHM/HEX`, `layers/ALGORITHM/HEX.{tar,erofs}`, `ingest/…`."""

    root: Path

    @property
    def lock(self) -> Path:
        """Locked by the process that owns the root."""
        return self.root / "lock"

    @property
    def database(self) -> Path:
        """The metadata (SQLite)."""
        return self.root / "metadata.db"

    @property
    def reserve(self) -> Path:
        """Space held back for removals on a full disk."""
        return self.root / "reserve"

    @property
    def ingest(self) -> Path:
        """Unfinished work. All of it but resumable partials is swept at start."""
        return self.root / "ingest"

    def content_directories(self) -> list[Path]:
        """Every directory that holds finished content."""
        return [self.root / kind / algorithm for kind in ("blobs", "layers") for algorithm in LENGTHS]

    def blob(self, digest: Digest) -> Path:
        """The file of a blob."""
        return Path(f"{self.root}/blobs/{digest.algorithm}/{digest.encoded}")

    def tar(self, diff_id: Digest) -> Path:
        """The tar of a layer."""
        return Path(f"{self.root}/layers/{diff_id.algorithm}/{diff_id.encoded}.tar")

    def index(self, diff_id: Digest) -> Path:
        """The index of a layer, beside its tar."""
        return Path(f"{self.root}/layers/{diff_id.algorithm}/{diff_id.encoded}.erofs")

    def files(self, digest: Digest, kind: str) -> tuple[Path, ...]:
        """The files of one row of content."""
        return (self.blob(digest),) if kind == "blob" else (self.tar(digest), self.index(digest))

    def temporary(self, suffix: str = "") -> Path:
        """A fresh name for unfinished work."""
        return self.ingest / f"{os.getpid():x}-{secrets.token_hex(8)}{suffix}"

    def partial(self, ref: str) -> Path:
        """The file of a resumable ingest."""
        return self.ingest / f"{PARTIAL_PREFIX}{sha256(ref.encode()).hexdigest()}"

    def make(self) -> None:
        """Create the directories, private to the owner: layers hold other people's set-uid files."""
        content = self.content_directories()
        for directory in [self.root, self.ingest, *(each.parent for each in content), *content]:
            private_directory(directory)
