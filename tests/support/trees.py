"""Directories as values, to compare what two programs made of the same archive."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Facts:
    """What can be told of one file. `twin` is the first name of the same file, in sorted order."""

    kind: int
    mode: int
    owner: tuple[int, int]
    size: int
    mtime_ns: int
    content: str
    device: int
    xattrs: tuple[tuple[str, bytes], ...]
    twin: str


def facts(root: Path, *, times: bool = True) -> dict[str, Facts]:
    """All files below `root`, which is "" itself, by relative path. `times` False counts all times as 0."""
    seen: dict[tuple[int, int], str] = {}
    found = {}
    for path in sorted([root, *_below(root)], key=os.fsencode):
        name = "" if path == root else os.path.relpath(path, root)
        found[name] = _facts(path, name, seen, times)
    return found


def _below(root: Path) -> list[Path]:
    listed = [(Path(folder), names) for folder, *both in os.walk(root) for names in both]
    return [folder / name for folder, names in listed for name in names]


def _facts(path: Path, name: str, seen: dict[tuple[int, int], str], times: bool) -> Facts:
    status = path.lstat()
    content = ""
    if stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    single = stat.S_ISDIR(status.st_mode)
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return Facts(
        kind=stat.S_IFMT(status.st_mode),
        mode=stat.S_IMODE(status.st_mode),
        owner=(status.st_uid, status.st_gid),
        size=0 if single else status.st_size,
        mtime_ns=status.st_mtime_ns if times else 0,
        content=content,
        device=status.st_rdev,
        xattrs=tuple((key, os.getxattr(path, key, follow_symlinks=False)) for key in names),
        twin=name if single else seen.setdefault((status.st_dev, status.st_ino), name),
    )
