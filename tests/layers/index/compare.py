"""Mounting an index and listing trees, so that the kernel's view can be laid beside another one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lamina.layers.entry import FORMATS, EntryType
from lamina.layers.index.format import ORIGIN_XATTR
from lamina.layers.tree import Tree, walk
from lamina.linux.mounts import MOUNT_ATTR_RDONLY, mount_filesystem, umount2


class File(NamedTuple):
    """All that matters of one file."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    nlink: int
    size: int
    content: str
    """A digest of the bytes, the text of a link, or a device number."""
    xattrs: tuple[tuple[str, bytes], ...]
    first_name: str
    """The first path of the same file: tells which names are hard links of each other."""


Listing = dict[str, File]


@contextlib.contextmanager
def mounted(index: Path, tars: Sequence[Path], target: Path) -> Iterator[Path]:
    """The index mounted by the kernel at `target`."""
    target.mkdir(exist_ok=True)
    options = [("source", str(index)), *(("device", str(tar)) for tar in tars)]
    mount_filesystem("erofs", options, target, MOUNT_ATTR_RDONLY)
    try:
        yield target
    finally:
        umount2(target)


def list_directory(root: Path) -> Listing:
    """Every file below `root` by its path; "" is the root."""
    names: dict[tuple[int, int], str] = {}
    found: Listing = {}
    for path in _paths(os.fsencode(root)):
        status = os.lstat(path)
        name = os.fsdecode(path[len(os.fsencode(root)) + 1 :])
        first = names.setdefault((status.st_dev, status.st_ino), name)
        keys = [key for key in os.listxattr(path, follow_symlinks=False) if key != ORIGIN_XATTR]
        xattrs = {key: os.getxattr(path, key, follow_symlinks=False) for key in keys}
        directory = stat.S_ISDIR(status.st_mode)
        size = 0 if not stat.S_ISREG(status.st_mode) else status.st_size
        found[name] = File(
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_mtime_ns,
            0 if directory else status.st_nlink,
            size,
            _content(path, status),
            tuple(sorted(xattrs.items())),
            name if directory else first,
        )
    return found


def _paths(root: bytes) -> list[bytes]:
    paths = [root]
    for path in paths:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            paths.extend(os.path.join(path, name) for name in sorted(os.listdir(path)))
    return sorted(paths)


def _content(path: bytes, status: os.stat_result) -> str:
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if stat.S_ISLNK(status.st_mode):
        return os.fsdecode(os.readlink(path))
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return ""


def list_tree(tree: Tree) -> Listing:
    """The same of a Tree."""
    names: dict[int, str] = {}
    found: Listing = {}
    for node in sorted(walk(tree), key=lambda node: os.fsencode(node.entry.path)):
        entry = node.entry
        content = entry.target
        if entry.type is EntryType.REGULAR:
            with tree.read(node) as file:
                content = hashlib.sha256(file.read()).hexdigest()
        elif entry.type in (EntryType.CHAR, EntryType.BLOCK):
            content = f"{entry.major}:{entry.minor}"
        xattrs = dict(entry.xattrs) | ({"trusted.overlay.opaque": b"y"} if node.opaque else {})
        found[entry.path] = File(
            FORMATS[entry.type] | entry.mode,
            entry.uid,
            entry.gid,
            entry.mtime_ns,
            0 if node.is_directory else node.nlink,
            entry.size,
            content,
            tuple(sorted(xattrs.items())),
            entry.path if node.is_directory else names.setdefault(node.ino, entry.path),
        )
    return found


def gnu_tar_extract(tar: Path, target: Path) -> Path:
    """What GNU tar makes of the archive, with everything restored."""
    target.mkdir()
    command = ["tar", "--extract", "--file", str(tar), "--directory", str(target), "--numeric-owner"]
    subprocess.run(
        [
            *command,
            "--preserve-permissions",
            "--warning=no-timestamp",
            "--xattrs",
            "--xattrs-include=*",
            "--delay-directory-restore",
        ],
        check=True,
    )
    return target


def whiteouts_alike(listing: Listing) -> Listing:
    """`listing` with nothing said of whiteouts but that they are there."""
    return {
        path: File(0, 0, 0, 0, 0, 0, "whiteout", (), "") if stat.S_ISCHR(file.mode) and file.content == "0:0" else file
        for path, file in listing.items()
    }


def differences(one: Listing, other: Listing) -> list[str]:
    """Where two listings differ, one line each."""
    lines = [f"only in the first: {path}" for path in sorted(one.keys() - other.keys())]
    lines += [f"only in the second: {path}" for path in sorted(other.keys() - one.keys())]
    for path in sorted(one.keys() & other.keys()):
        pairs = zip(File._fields, one[path], other[path], strict=True)
        lines += [f"{path}: {field}: {a!r} != {b!r}" for field, a, b in pairs if a != b]
    return lines
