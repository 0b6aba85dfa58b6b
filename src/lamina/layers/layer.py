"""A layer on disk: the tar that is the layer, and the index that lets kernel and Python read it in place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lamina.formats.digest import Digest


@dataclass(frozen=True, slots=True)
class Layer:
    """Names the two files of one layer; holds nothing open."""

    diff_id: Digest
    """The digest of the tar."""
    size: int
    """Bytes of the tar."""
    tar: Path
    index: Path


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was learnt while a layer's tar and index were written, before anyone may use them."""

    diff_id: Digest
    size: int
    """Bytes of the tar."""
    entries: int
    """Members of the tar, whiteouts among them."""
    file_bytes: int = 0
    """Bytes of all files in it, holes and the texts of symlinks included: what Docker calls the size of a layer."""
