"""Files of this machine as a tar stream: what a build context and `cp` send.

Written as POSIX ustar, with PAX records (pax(1)) only where a name, a link or a number does not fit.
"""

from __future__ import annotations

import os
import stat

from lamina.errors import Conflict
from lamina.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = 512
PIECE = 1 << 18  # bytes of one chunk of a file
MAX_ID = 0o7777777
MAX_SIZE = 0o77777777777
TYPES = {
    stat.S_IFREG: b"0",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5",
    stat.S_IFIFO: b"6",
}
CAPABILITY = "security.capability"


class Packed(NamedTuple):
    """One entry: the file `path` here, called `name` there. With `data` there is no file: a plain file of those bytes.

    `owner` replaces the file's own uid and gid; `follow` sends what a symbolic link points to.
    """

    name: str
    path: str = ""
    data: bytes | None = None
    owner: tuple[int, int] | None = None
    follow: bool = False


def pack(entries: Iterable[Packed]) -> Iterator[bytes]:
    """Yield the tar in chunks, small ones gathered. Sockets are left out.

    Raise OSError for a file that cannot be read, Conflict for a file that changes its size meanwhile.
    """
    waiting: list[bytes] = []
    size = 0
    for entry in entries:
        for piece in _entry(entry):
            waiting.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield b"".join(waiting)
                waiting, size = [], 0
    waiting.append(bytes(2 * BLOCK))
    yield b"".join(waiting)


def _entry(entry: Packed) -> Iterator[bytes]:
    if entry.data is not None:
        yield _header(entry.name, 0o100644, 0, 0, len(entry.data), 0.0, "", 0, {})
        yield entry.data + bytes(-len(entry.data) % BLOCK)
        return
    status = os.stat(entry.path, follow_symlinks=entry.follow)
    kind = stat.S_IFMT(status.st_mode)
    if kind not in TYPES:
        return
    uid, gid = entry.owner or (status.st_uid, status.st_gid)
    size = status.st_size if kind == stat.S_IFREG else 0
    link = os.readlink(entry.path) if kind == stat.S_IFLNK else ""
    name = entry.name.rstrip("/") + "/" if kind == stat.S_IFDIR else entry.name
    more = _capability(entry.path) if kind == stat.S_IFREG else {}
    yield _header(name, status.st_mode, uid, gid, size, status.st_mtime, link, status.st_rdev, more)
    if size:
        yield from _content(entry.path, size)


def _content(path: str, size: int) -> Iterator[bytes]:
    left = size
    with open(path, "rb", buffering=0) as file:
        while left and (piece := file.read(min(left, PIECE))):
            left -= len(piece)
            yield piece
        if left or file.read(1):
            raise Conflict(f"{path} changed while it was read", advice="Try again when nothing writes to it")
    yield bytes(-size % BLOCK)


def _capability(path: str) -> dict[str, bytes]:
    """Return a file's capabilities, the one attribute that Docker's contexts carry."""
    try:
        return {f"SCHILY.xattr.{CAPABILITY}": os.getxattr(path, CAPABILITY)}
    except OSError:
        return {}


def _header(
    name: str, mode: int, uid: int, gid: int, size: int, mtime: float, link: str, device: int, more: dict[str, bytes]
) -> bytes:
    raw, raw_link = os.fsencode(name), os.fsencode(link)
    records = dict(more)
    prefix, short = _split(raw)
    if short is None:
        records["path"], short = raw, raw[:100]
    if len(raw_link) > 100:
        records["linkpath"] = raw_link
    for key, value, limit in (("uid", uid, MAX_ID), ("gid", gid, MAX_ID), ("size", size, MAX_SIZE)):
        if value > limit:
            records[key] = b"%d" % value
    if mtime < 0:
        records["mtime"] = b"%d" % mtime
    kind = TYPES[stat.S_IFMT(mode)]
    devices = (os.major(device), os.minor(device)) if kind in (b"3", b"4") else (0, 0)
    numbers = (stat.S_IMODE(mode), min(uid, MAX_ID), min(gid, MAX_ID), min(size, MAX_SIZE), max(0, int(mtime)))
    block = _block(short, numbers, kind, raw_link[:100], devices, prefix)
    return _pax(records) + block if records else block


def _split(raw: bytes) -> tuple[bytes, bytes | None]:
    """Return prefix and name as ustar's header has them; no name where the path does not fit."""
    if len(raw) <= 100:
        return b"", raw
    cut = raw.find(b"/", len(raw) - 101, -1)
    if 0 < cut <= 155:
        return raw[:cut], raw[cut + 1 :]
    return b"", None


def _block(
    name: bytes, numbers: tuple[int, ...], kind: bytes, link: bytes, devices: tuple[int, int], prefix: bytes
) -> bytes:
    form = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%bustar\x0000%b%07o\0%07o\0%b"
    names = (name.ljust(100, b"\0"), *numbers, kind, link.ljust(100, b"\0"), bytes(64), *devices)
    block = (form % (*names, prefix.ljust(155, b"\0"))).ljust(BLOCK, b"\0")
    return b"%b%06o\0 %b" % (block[:148], sum(block), block[156:])


def _pax(records: dict[str, bytes]) -> bytes:
    data = b"".join(_record(key.encode(), value) for key, value in sorted(records.items()))
    block = _block(b"././@PaxHeader", (0o644, 0, 0, len(data), 0), b"x", b"", (0, 0), b"")
    return block + data + bytes(-len(data) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """Return "LENGTH key=value\\n", where the length counts its own digits."""
    rest = b" %b=%b\n" % (key, value)
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d%b" % (length, rest)
