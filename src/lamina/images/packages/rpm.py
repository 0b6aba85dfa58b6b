"""The database of rpm in its two newer forms, SQLite and ndb: in both each package is one header.

Rules: rpm, docs/manual/format_header.md, lib/backend/sqlite.cc and lib/backend/ndb/rpmpkg.cc. Both are read in memory:
a database of a stranger is never opened as a file.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator

from lamina.errors import InvalidInput
from lamina.images.packages.package import Distribution, Package, cut

FOLDERS = ("usr/lib/sysimage/rpm", "var/lib/rpm")
SQLITE, NDB = "rpmdb.sqlite", "Packages.db"
_NAME, _VERSION, _RELEASE, _EPOCH, _VENDOR, _LICENSE, _ARCH, _SOURCE = 1000, 1001, 1002, 1003, 1011, 1014, 1022, 1044
_TAGS = frozenset({_NAME, _VERSION, _RELEASE, _EPOCH, _VENDOR, _LICENSE, _ARCH, _SOURCE})
_INT32, _STRING, _I18N = 4, 6, 9
_MOST_ENTRIES = 1 << 16  # of one header
_STEPS = 50_000_000  # of SQLite's machine, for one database
_LARGEST_HEADER = 64 << 20  # bytes
_LONGEST = 4096  # bytes of a text
_NDB_MAGIC, _NDB_SLOT, _NDB_BLOB = b"RpmP", b"Slot", b"BlbS"
_NDB_PAGE, _NDB_BLOCK = 4096, 16


def rpm_packages(raw: bytes, path: str, distribution: Distribution) -> Iterator[Package]:
    """Yield the packages of a database. Raise InvalidInput for one that is damaged."""
    headers = _ndb_headers(raw) if raw.startswith(_NDB_MAGIC) else _sqlite_headers(raw)
    left = len(raw)
    for header in headers:
        left -= len(header)
        if left < 0:
            raise InvalidInput("the headers of the rpm database lie over each other")
        tags = _tags(header)
        name, version = tags.get(_NAME), tags.get(_VERSION)
        if not isinstance(name, str) or not isinstance(version, str) or name == "gpg-pubkey":
            continue
        release, epoch = tags.get(_RELEASE), tags.get(_EPOCH)
        more = {"epoch": str(epoch) if epoch else "", "upstream": cut(_text(tags.get(_SOURCE)))}
        yield Package(
            "rpm",
            cut(name),
            cut(f"{version}-{release}" if release else version),
            namespace=distribution.id,
            architecture=cut(_text(tags.get(_ARCH))),
            license=cut(_text(tags.get(_LICENSE))),
            supplier=cut(_text(tags.get(_VENDOR))),
            path=path,
            qualifiers=distribution.qualifiers | {key: value for key, value in more.items() if value},
        )


def _text(value: str | int | None) -> str:
    return value if isinstance(value, str) else ""


def _sqlite_headers(raw: bytes) -> Iterator[bytes]:
    connection = sqlite3.connect(":memory:")
    left = [_STEPS]

    def tick() -> bool:
        left[0] -= 1000
        return left[0] < 0

    try:
        # The database is memory of ours, and cannot open other files.
        connection.deserialize(raw)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_HEADER)
        connection.text_factory = bytes
        connection.set_progress_handler(tick, 1000)
        connection.execute("PRAGMA trusted_schema = OFF")
        if not _is_plain_table(connection):
            raise InvalidInput("the rpm database has no table of packages")
        # In no order: sorting would keep all rows, and each of them may claim the same pages.
        for (blob,) in connection.execute("SELECT blob FROM Packages"):
            if isinstance(blob, bytes):
                yield blob
    except (sqlite3.Error, OverflowError, UnicodeError) as error:
        raise InvalidInput(f"the rpm database is damaged: {error}") from None
    finally:
        connection.close()


def _is_plain_table(connection: sqlite3.Connection) -> bool:
    """Return whether the packages are stored rows. Views and generated columns run functions that nobody can stop."""
    kinds = [row[2] for row in connection.execute("PRAGMA table_list(Packages)")]
    hidden = [row[6] for row in connection.execute("PRAGMA table_xinfo(Packages)")]
    return kinds == [b"table"] and not any(hidden)


def _ndb_headers(raw: bytes) -> Iterator[bytes]:
    if len(raw) < 32:
        raise InvalidInput("the rpm database is cut short")
    (pages,) = struct.unpack_from("<I", raw, 12)
    end = min(pages * _NDB_PAGE, len(raw) - 15)
    for offset in range(32, end, 16):
        if raw[offset : offset + 4] != _NDB_SLOT:
            continue
        index, block, _ = struct.unpack_from("<III", raw, offset + 4)
        start = block * _NDB_BLOCK
        if not index or raw[start : start + 4] != _NDB_BLOB or start + 16 > len(raw):
            continue
        _, _, _, length = struct.unpack_from("<IIII", raw, start)
        yield raw[start + 16 : start + 16 + length]


def _tags(header: bytes) -> dict[int, str | int]:
    """Return the texts and numbers that we need by tag; those that a header places outside of itself are left out."""
    if len(header) < 8:
        return {}
    entries, _ = struct.unpack_from(">II", header, 0)
    data = 8 + entries * 16
    if entries > _MOST_ENTRIES or data > len(header):
        return {}
    found: dict[int, str | int] = {}
    for number in range(entries):
        tag, kind, offset, count = struct.unpack_from(">IiiI", header, 8 + number * 16)
        start = data + offset
        if tag not in _TAGS or tag in found or offset < 0 or start >= len(header) or not count:
            continue
        if kind in (_STRING, _I18N):
            found[tag] = header[start : start + _LONGEST].partition(b"\0")[0].decode("utf-8", "replace")
        elif kind == _INT32 and start + 4 <= len(header):
            found[tag] = int(struct.unpack_from(">I", header, start)[0])
    return found
