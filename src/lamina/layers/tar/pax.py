"""PAX extended headers: "LENGTH KEY=VALUE\\n" records that override or extend the ustar header (POSIX pax, 4.18.4).

Extended attributes come as SCHILY.xattr.NAME (star, GNU tar, Go: the bytes as they are) or LIBARCHIVE.xattr.NAME
(bsdtar: the value in base64, the name percent-encoded); where both are present the first wins.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from lamina.errors import InvalidInput

SCHILY_XATTR = b"SCHILY.xattr."
LIBARCHIVE_XATTR = b"LIBARCHIVE.xattr."
NANO = 1_000_000_000
_MAP_KEYS = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
_TEXT_KEYS = frozenset((b"path", b"linkpath", b"uname", b"gname"))


def parse_records(data: bytes, offset: int) -> dict[bytes, bytes]:
    """Return the records of one extended header that stands at byte `offset` of the archive; the last of a kind wins.

    The offsets and lengths of a GNU sparse map 0.0, which repeat, are joined in order under "GNU.sparse.map", the way
    version 0.1 has them. Raise InvalidInput for what is no record.
    """
    records: dict[bytes, bytes] = {}
    pieces: list[bytes] = []
    position = 0
    while position < len(data):
        position, key, value = _record(data, position, offset)
        if key in _MAP_KEYS:
            if key != _MAP_KEYS[len(pieces) % 2] or b"," in value:
                raise _broken(offset)
            pieces.append(value)
        elif key in _TEXT_KEYS and b"\0" in value:
            raise _broken(offset)
        else:
            records[key] = value
    if pieces:
        records[b"GNU.sparse.map"] = b",".join(pieces)
    return records


def _record(data: bytes, start: int, offset: int) -> tuple[int, bytes, bytes]:
    space = data.find(b" ", start, start + 20)
    digits = data[start:space] if space > start else b""
    if not digits.isdigit():
        if not data[start:].strip(b"\0"):
            return len(data), b"comment", b""
        raise _broken(offset)
    end = start + int(digits)
    equals = data.find(b"=", space, end)
    if end > len(data) or equals <= space + 1 or data[end - 1] != 0x0A:
        raise _broken(offset)
    return end, data[space + 1 : equals], data[equals + 1 : end - 1]


def _broken(offset: int) -> InvalidInput:
    return InvalidInput(f"the extended header at byte {offset} holds a broken record", offset=offset)


def xattrs_of(records: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Return the extended attributes among the records, by full name, sorted. Raise InvalidInput for broken base64."""
    xattrs: dict[bytes, bytes] = {}
    for key, value in records.items():
        if key.startswith(LIBARCHIVE_XATTR):
            name = unquote_to_bytes(key[len(LIBARCHIVE_XATTR) :])
            xattrs.setdefault(name, _unbase64(value, name))
    for key, value in records.items():
        if key.startswith(SCHILY_XATTR):
            name = key[len(SCHILY_XATTR) :]
            xattrs[name.replace(b"%3D", b"=").replace(b"%25", b"%") if b"%3D" in name else name] = value
    return {name.decode("utf-8", "surrogateescape"): xattrs[name] for name in sorted(xattrs)}


def _unbase64(value: bytes, name: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error as error:
        raise InvalidInput(f"the extended attribute {name!r} is not valid base64") from error


def parse_time(value: bytes) -> int:
    """Return nanoseconds since 1970 of a decimal number of seconds. Raise ValueError; digits beyond nanoseconds are
    cut."""
    seconds, _, fraction = value.partition(b".")
    digits = seconds.removeprefix(b"-")
    if not (digits + fraction).isdigit() or len(digits) > 19:
        raise ValueError(f"{value!r} where a time belongs")
    whole = int(digits or b"0") * NANO + int(fraction[:9].ljust(9, b"0"))
    return -whole if seconds.startswith(b"-") else whole


def format_time(mtime_ns: int) -> bytes:
    """Return the decimal number of seconds that `parse_time` reads, without needless zeros."""
    sign = "-" if mtime_ns < 0 else ""
    seconds, fraction = divmod(abs(mtime_ns), NANO)
    return f"{sign}{seconds}.{fraction:09d}".rstrip("0").rstrip(".").encode()


def parse_integer(value: bytes) -> int:
    """Return a decimal number that is not negative. Raise ValueError."""
    if not value.isdigit() or len(value) > 19:
        raise ValueError(f"{value!r} where a number belongs")
    return int(value)


def format_record(key: bytes, value: bytes) -> bytes:
    """Return one record, whose length counts its own digits."""
    size = len(key) + len(value) + 3
    length = size + len(str(size))
    if len(str(length)) > len(str(size)):
        length = size + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def xattr_key(name: str) -> bytes:
    """Return the record key for an extended attribute; "=" cannot stand in a key, so it is written as GNU tar does."""
    raw = name.encode("utf-8", "surrogateescape")
    return SCHILY_XATTR + (raw.replace(b"%", b"%25").replace(b"=", b"%3D") if b"=" in raw else raw)
