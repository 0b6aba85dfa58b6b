"""Files on disk as entries of a layer."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Protocol

from lamina.errors import Unsupported
from lamina.layers.disk_walk import WalkedFile
from lamina.layers.entry import Entry, EntryType, type_of
from lamina.layers.index.xattrs import unescape
from lamina.layers.tar.source import Readable

_SECOND = 1_000_000_000
_GRAIN = 64 * 1024
_ZEROS = bytes(_GRAIN)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ELSEWHERE = frozenset(("trusted.overlay.redirect", "trusted.overlay.metacopy"))
_GONE = (errno.ENOENT,)
_SWAPPED = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ELOOP)  # gone, or no more of the kind it was
_NO_XATTRS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES)


class EntrySink(Protocol):
    """Where captured files go: a LayerBuilder, a TarWriter."""

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> object: ...


class Capture:
    """Adds files to a layer: names of one file that come again become hard links, sockets are passed over.

    Times are cut to whole seconds, as in Docker's layers: it keeps PAX headers out of the tar. Those later than
    `latest_ns` become it. `overlay` reads attributes as an upper directory keeps them, without overlayfs's own.
    `live` is for files that somebody may swap meanwhile: what changes its kind is passed over, and no device or pipe
    is ever opened.
    """

    def __init__(
        self, builder: EntrySink, *, latest_ns: int | None = None, overlay: bool = False, live: bool = False
    ) -> None:
        self._builder = builder
        self._latest_ns = latest_ns
        self._overlay = overlay
        self._live = live
        self._linked: dict[tuple[int, int], str] = {}

    def add(self, file: WalkedFile) -> bool:
        """Add one file. Return False when it is passed over or gone. Raise what LayerBuilder.add does."""
        status = file.status
        kind = type_of(status.st_mode)
        if kind is None:
            return False
        if status.st_nlink > 1 and kind is not EntryType.DIRECTORY:
            first = self._linked.setdefault((status.st_dev, status.st_ino), file.path)
            if first != file.path:
                self._builder.add(self._entry(file.path, EntryType.HARDLINK, status, target=first))
                return True
        try:
            if kind is EntryType.REGULAR:
                self._add_regular(file)
            else:
                self._add_other(file, kind)
        except OSError as error:
            if error.errno not in (_SWAPPED if self._live else _GONE):
                raise
            self._linked.pop((status.st_dev, status.st_ino), None)
            return False
        return True

    def _mtime_ns(self, status: os.stat_result) -> int:
        mtime_ns = status.st_mtime_ns // _SECOND * _SECOND
        return mtime_ns if self._latest_ns is None else min(mtime_ns, self._latest_ns)

    def _entry(
        self,
        path: str,
        kind: EntryType,
        status: os.stat_result,
        *,
        target: str = "",
        xattrs: Mapping[str, bytes] | None = None,
        sparse: tuple[tuple[int, int], ...] | None = None,
    ) -> Entry:
        return Entry(
            path,
            kind,
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            status.st_size if kind is EntryType.REGULAR else 0,
            self._mtime_ns(status),
            target,
            os.major(status.st_rdev) if kind.is_device else 0,
            os.minor(status.st_rdev) if kind.is_device else 0,
            xattrs or {},
            sparse=sparse,
        )

    def _add_regular(self, found: WalkedFile) -> None:
        file = _open_live(found.name, found.parent) if self._live else _open(found.name, found.parent)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                return
            sparse = _pieces(file, status)
            entry = self._entry(found.path, EntryType.REGULAR, status, xattrs=self._xattrs(file), sparse=sparse)
            self._builder.add(entry, _contents(file, status.st_size, sparse))
        finally:
            os.close(file)

    def _add_other(self, file: WalkedFile, kind: EntryType) -> None:
        target = os.readlink(file.name, dir_fd=file.parent) if kind is EntryType.SYMLINK else ""
        xattrs = self._xattrs(f"/proc/self/fd/{file.parent}/{file.name}")
        self._builder.add(self._entry(file.path, kind, file.status, target=target, xattrs=xattrs))

    def _xattrs(self, file: int | str) -> Mapping[str, bytes]:
        xattrs = read_xattrs(file)
        if not xattrs or not self._overlay:
            return xattrs
        if not _ELSEWHERE.isdisjoint(xattrs):
            raise Unsupported(
                "a file in the upper directory is only a reference to a layer below",
                advice="Mount overlays with redirect_dir=off and metacopy=off",
            )
        return own_xattrs(xattrs)


def read_xattrs(file: int | str) -> dict[str, bytes]:
    """Return the extended attributes of a descriptor's file, or of a path, whose last part is not followed; sorted."""
    follow = isinstance(file, int)
    try:
        names = os.listxattr(file, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return {}
        raise
    return {name: os.getxattr(file, name, follow_symlinks=follow) for name in sorted(names)} if names else {}


def own_xattrs(xattrs: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return attributes of an upper directory as the container sees them: without overlayfs's own, nested ones
    unescaped."""
    named = ((None if name.startswith("user.overlay.") else unescape(name), value) for name, value in xattrs.items())
    return {name: value for name, value in named if name is not None}


def _open(name: str, parent: int) -> int:
    try:
        return os.open(name, _READ | os.O_NOATIME, dir_fd=parent)
    except PermissionError:  # only the owner and root may ask for O_NOATIME
        return os.open(name, _READ, dir_fd=parent)


def _open_live(name: str, parent: int) -> int:
    """Open a regular file; raise OSError(ELOOP) for others, as opening a device may have an effect."""
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(place)


def _pieces(file: int, status: os.stat_result) -> tuple[tuple[int, int], ...] | None:
    """Return where a file with large holes has data, in grains that hold anything but zeros; None for all other files.

    Its contents decide where a hole is, not what the file system happens to have allocated.
    """
    if status.st_blocks * 512 + _GRAIN > status.st_size:
        return None
    pieces: list[tuple[int, int]] = []
    for offset in _grains(file, status.st_size):
        grain = os.pread(file, _GRAIN, offset)
        if grain == _ZEROS[: len(grain)]:
            continue
        length = min(_GRAIN, status.st_size - offset)
        if pieces and sum(pieces[-1]) == offset:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + length)
        else:
            pieces.append((offset, length))
    return None if pieces == [(0, status.st_size)] else tuple(pieces)


def _grains(file: int, size: int) -> Iterator[int]:
    """Yield the offsets of all grains that may hold data."""
    offset = 0
    while offset < size:
        try:
            start = os.lseek(file, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(file, start, os.SEEK_HOLE)
        first = max(offset, start // _GRAIN * _GRAIN)
        yield from range(first, min(end, size), _GRAIN)
        offset = max(offset, -(-end // _GRAIN) * _GRAIN)


def _contents(file: int, size: int, sparse: tuple[tuple[int, int], ...] | None) -> Readable | bytes | None:
    if sparse is None and size <= _GRAIN:
        return os.pread(file, size, 0).ljust(size, b"\0") if size else None
    return _Contents(file, sparse or ((0, size),))


class _Contents:
    """Pieces of a file one after the other. A file that shrinks meanwhile is filled up with zeros, as tar does."""

    def __init__(self, file: int, pieces: tuple[tuple[int, int], ...]) -> None:
        self._file = file
        self._pieces = list(reversed(pieces))

    def read(self, size: int, /) -> bytes:
        if not self._pieces:
            return b""
        offset, length = self._pieces.pop()
        taken = min(size, length)
        data = os.pread(self._file, taken, offset) or bytes(taken)
        if len(data) < length:
            self._pieces.append((offset + len(data), length - len(data)))
        return data
