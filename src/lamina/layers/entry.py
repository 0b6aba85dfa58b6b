"""One member of a layer, and the names by which a layer says that something is gone.

A layer is a changeset in the form of the OCI image specification (layer.md): files, directories, links and devices to
put in place, and AUFS-style names for deletions. `.wh.NAME` beside where NAME was deletes NAME from the layers below;
`.wh..wh..opq` in a directory hides everything that the layers below have in that directory. Entries keep those names
as they are; `classify` tells them apart.
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.errors import InvalidInput

WHITEOUT_PREFIX = ".wh."
OPAQUE_NAME = ".wh..wh..opq"
_AUFS_PREFIX = ".wh..wh."


class EntryType(enum.Enum):
    """What kind of file an entry makes. A HARDLINK is another name for a file that an earlier entry made."""

    REGULAR = "regular"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    CHAR = "char"
    BLOCK = "block"
    FIFO = "fifo"

    @property
    def is_device(self) -> bool:
        """Return whether it has a device number."""
        return self is EntryType.CHAR or self is EntryType.BLOCK


FORMATS: Mapping[EntryType, int] = {
    EntryType.REGULAR: stat.S_IFREG,
    EntryType.DIRECTORY: stat.S_IFDIR,
    EntryType.SYMLINK: stat.S_IFLNK,
    EntryType.CHAR: stat.S_IFCHR,
    EntryType.BLOCK: stat.S_IFBLK,
    EntryType.FIFO: stat.S_IFIFO,
}
"""The file type bits of `st_mode` (inode(7)) for each type that is a file of its own."""
_TYPES = {bits: kind for kind, bits in FORMATS.items()}


def type_of(mode: int) -> EntryType | None:
    """Return the type of a file by its `st_mode`; None for files that no layer can hold, such as sockets."""
    return _TYPES.get(stat.S_IFMT(mode))


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a changeset.

    `path` is relative to the root of the tree, with "/" between names, without a leading "/" or "./", without "." or
    ".." in it and without a trailing "/"; the root itself is "". Bytes that are not UTF-8 are kept by surrogateescape.
    Make it with `clean_path` when it comes from outside: Entry does not check it again.
    """

    path: str
    type: EntryType
    mode: int = 0o644
    """Permission bits with setuid, setgid and sticky (0o7777 at most); the kind of file is in `type`."""
    uid: int = 0
    gid: int = 0
    size: int = 0
    """Bytes of the file as a reader sees it, holes included; 0 for everything but REGULAR."""
    mtime_ns: int = 0
    """Nanoseconds since 1970-01-01 UTC; may be negative."""
    target: str = ""
    """SYMLINK: its text, exactly as written. HARDLINK: the path of the file it names, clean like `path`."""
    major: int = 0
    minor: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    """Extended attributes by full name, such as "security.capability" or "user.note"."""
    uname: str = ""
    gname: str = ""
    sparse: tuple[tuple[int, int], ...] | None = None
    """Where a sparse file has data: (offset, length) in bytes, ascending, not overlapping; None when it has no holes.
    The data in the tar, and at `data_offset`, is only these pieces, one after the other."""
    data_offset: int = -1
    """Where the data starts in the tar that the entry was read from or written to, in bytes; -1 when it has none."""

    @property
    def name(self) -> str:
        """Return the last part of the path; "" for the root."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        """Return the path of the directory that holds it; "" for the root and for what is directly below the root."""
        return self.path.rpartition("/")[0]

    @property
    def stored_size(self) -> int:
        """Return bytes that the data takes in the tar: `size` without the holes."""
        return self.size if self.sparse is None else sum(length for _, length in self.sparse)

    @property
    def told_size(self) -> int:
        """Return the size that stat(2) tells, which Docker adds up to the size of a layer.

        The size of a symlink is that of its text; a further name of a file has none.
        """
        return len(os.fsencode(self.target)) if self.type is EntryType.SYMLINK else self.size


class Mark(enum.Enum):
    """What the name of an entry means in a changeset."""

    NONE = "none"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"
    IGNORED = "ignored"
    """Book-keeping of AUFS (`.wh..wh.plnk` and the like), which says nothing about the tree."""


def classify(path: str) -> tuple[Mark, str]:
    """Return the meaning of an entry called `path`, and the path that it is about.

    WHITEOUT gives the path that is deleted, OPAQUE the directory that hides what is below it, NONE and IGNORED give
    `path` itself. A name below a `.wh.` directory counts by its own last part. Raise InvalidInput for whiteouts that
    name nothing, or "." or "..".
    """
    parent, slash, name = path.rpartition("/")
    if not name.startswith(WHITEOUT_PREFIX):
        return Mark.NONE, path
    if name == OPAQUE_NAME:
        return Mark.OPAQUE, parent
    if name.startswith(_AUFS_PREFIX):
        return Mark.IGNORED, path
    hidden = name[len(WHITEOUT_PREFIX) :]
    if hidden in ("", ".", ".."):
        raise InvalidInput(f"the whiteout {path!r} names no file", path=path)
    return Mark.WHITEOUT, parent + slash + hidden


def whiteout_entry(path: str, mtime_ns: int = 0) -> Entry:
    """Return the entry that deletes `path` from the layers below."""
    parent, slash, name = path.rpartition("/")
    return Entry(f"{parent}{slash}{WHITEOUT_PREFIX}{name}", EntryType.REGULAR, mode=0, mtime_ns=mtime_ns)


def opaque_entry(directory: str, mtime_ns: int = 0) -> Entry:
    """Return the entry that hides the files of the layers below in `directory` ("" is the root)."""
    path = f"{directory}/{OPAQUE_NAME}" if directory else OPAQUE_NAME
    return Entry(path, EntryType.REGULAR, mode=0, mtime_ns=mtime_ns)


def clean_path(raw: str) -> str:
    """Return the path of an Entry for a name as archives have it.

    "./a//b/" and "/a/b" both give "a/b"; "", ".", "/" and "./" give "" (the root). ".." takes back the name before it,
    without asking what that name is, as Docker does; at the top of an absolute name it is dropped, as "/.." is "/".
    Raise InvalidInput for a relative name that leads above its start ("../x") and for a NUL in the name.
    """
    if "\0" in raw:
        raise InvalidInput(f"the path {raw!r} holds a NUL byte", path=raw)
    if raw and raw[0] != "/" and raw[-1] != "/" and "./" not in raw and "//" not in raw and not raw.endswith("."):
        return raw
    parts: list[str] = []
    for part in raw.split("/"):
        if part == "..":
            if parts:
                parts.pop()
            elif not raw.startswith("/"):
                raise InvalidInput(f"the path {raw!r} leads outside the archive", path=raw)
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
