"""Build contexts as values: what a case's folder holds, and how it is written to disk."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

WRITING: dict[str, Literal["w:", "w:gz", "w:bz2", "w:xz"]] = {"": "w:", "gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}
MTIME = 1_600_000_000  # seconds; every file of a context carries it, so that builds can be compared


@dataclass(frozen=True)
class File:
    """One thing in a context: a file with text, a link, a directory, or an archive made from `members`."""

    text: str = ""
    mode: int = 0o644
    link: str | None = None
    directory: bool = False
    archive: Mapping[str, File] | None = None
    compression: str = ""  # "", "gz", "bz2" or "xz"
    uid: int = 0
    gid: int = 0
    xattrs: Mapping[str, bytes] | None = None

    def archive_bytes(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(None, WRITING[self.compression], buffer) as tar:
            for name, member in (self.archive or {}).items():
                info = tarfile.TarInfo(name)
                info.mode, info.mtime, info.uid, info.gid = member.mode, MTIME, member.uid, member.gid
                data = member.text.encode()
                if member.link is not None:
                    info.type, info.linkname = tarfile.SYMTYPE, member.link
                elif member.directory:
                    info.type = tarfile.DIRTYPE
                else:
                    info.size = len(data)
                tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
        return buffer.getvalue()


def write_context(folder: Path, files: Mapping[str, File | str]) -> None:
    """Create `files` below `folder`; parents come into being with mode 0755 and everything gets MTIME."""
    for name, given in files.items():
        file = File(given) if isinstance(given, str) else given
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.link is not None:
            path.symlink_to(file.link)
            continue
        if file.directory:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(file.text.encode() if file.archive is None else file.archive_bytes())
        for key, value in (file.xattrs or {}).items():
            os.setxattr(path, key, value)
        if file.uid or file.gid:
            os.chown(path, file.uid, file.gid)
        path.chmod(file.mode)
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (MTIME, MTIME), follow_symlinks=False)
