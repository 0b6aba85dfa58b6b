"""Reads a `docker save` archive with Python's tarfile only: an image's config and its merged file tree.

Independent of lamina's own readers, so that it can judge both engines.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import tarfile
from dataclasses import dataclass
from typing import Any

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True)
class WalkedFile:
    """One path of a merged tree, with all that an image promises about it (times apart)."""

    type: str
    mode: int
    owner: str
    size: int
    content: str
    target: str
    xattrs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SavedImage:
    config: dict[str, Any]
    tree: dict[str, WalkedFile]
    layers: tuple[frozenset[str], ...]  # the paths each layer holds, bottom first


def _found(tar: tarfile.TarFile, member: tarfile.TarInfo) -> WalkedFile:
    kinds = {tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.CHRTYPE: "char", tarfile.FIFOTYPE: "fifo"}
    file = tar.extractfile(member) if member.isreg() or member.islnk() else None
    data = file.read() if file else b""
    xattrs = {
        k.removeprefix("SCHILY.xattr."): v for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")
    }
    return WalkedFile(
        type=kinds.get(member.type, "file"),
        mode=member.mode & 0o7777,
        owner=f"{member.uid}:{member.gid}",
        size=len(data),
        content=hashlib.sha256(data).hexdigest() if file else "",
        target=member.linkname if member.issym() else "",
        xattrs=tuple(sorted(xattrs.items())),
    )


def _drop(tree: dict[str, WalkedFile], path: str, *, itself: bool) -> None:
    for known in [p for p in tree if p.startswith(path + "/") or (itself and p == path) or (not path and p)]:
        del tree[known]


def _apply(tree: dict[str, WalkedFile], data: bytes) -> frozenset[str]:
    new: dict[str, WalkedFile] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            path = member.name.strip("/").removeprefix("./")
            folder, _, name = path.rpartition("/")
            if name == OPAQUE:
                _drop(tree, folder, itself=False)
            elif name.startswith(WHITEOUT):
                _drop(tree, f"{folder}/{name[len(WHITEOUT) :]}".lstrip("/"), itself=True)
            elif path not in ("", "."):
                new[path] = _found(tar, member)
    for path, found in new.items():
        if found.type != "dir":
            _drop(tree, path, itself=False)
        tree[path] = found
    return frozenset(new)


def read_saved(archive: bytes) -> SavedImage:
    """The first image of a docker-archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = {m.name: m for m in tar.getmembers()}

        def read(name: str) -> bytes:
            member = names[name]
            while member.issym():  # older engines store a repeated layer as a link
                name = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
                member = names[name]
            file = tar.extractfile(member)
            assert file is not None, name
            return file.read()

        manifest = json.loads(read("manifest.json"))[0]
        tree: dict[str, WalkedFile] = {}
        layers = tuple(_apply(tree, read(name)) for name in manifest["Layers"])
        return SavedImage(json.loads(read(manifest["Config"])), tree, layers)
