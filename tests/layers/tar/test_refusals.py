"""Archives that the reader refuses: broken ones, and such as pass a limit."""

from __future__ import annotations

import pytest

from lamina.errors import InvalidInput, TooLarge
from lamina.layers.limits import Limits
from layers.tar.blocks import END, extended, header, read, record

BROKEN: dict[str, bytes] = {
    "no tar at all": b"PK\3\4" + bytes(range(256)) * 4,
    "a damaged header": header(b"f").replace(b"f", b"g", 1) + END,
    "a cut header": header(b"f")[:100],
    "cut data": header(b"f", size=600) + bytes(512),
    "something after one block of zeros": header(b"f") + bytes(512) + header(b"g") + END,
    "a number that is none": header(b"f", uid=b"12x4567\0") + END,
    "a signed number": header(b"f", uid=b"-000001\0") + END,
    "a negative size": header(b"f", size=0).replace(b"00000000000\0", b"\xff" * 12, 1),
    "a negative owner": header(b"f", uid=b"\xff" * 8) + END,
    "an owner beyond 32 bits": extended(record(b"uid", b"4294967295")) + header(b"f") + END,
    "an unknown type": header(b"f", b"Z") + END,
    "a path upwards": header(b"../f") + END,
    "a hard link upwards": header(b"f", b"1", link=b"a/../../f") + END,
    "a symlink to nothing": header(b"f", b"2") + END,
    "a record without length": extended(b"uid=5\n") + header(b"f") + END,
    "a record that is too long": extended(b"99 uid=5\n") + header(b"f") + END,
    "a record without line end": extended(b"9 uid=55x") + header(b"f") + END,
    "a record without name": extended(b"5 =x\n") + header(b"f") + END,
    "a NUL in a path": extended(record(b"path", b"a\0b")) + header(b"f") + END,
    "a broken time": extended(record(b"mtime", b"soon")) + header(b"f") + END,
    "a broken xattr": extended(record(b"LIBARCHIVE.xattr.user.a", b"!!!")) + header(b"f") + END,
    "a negative PAX size": extended(record(b"size", b"-5")) + header(b"f") + END,
}


@pytest.mark.parametrize("archive", BROKEN.values(), ids=BROKEN.keys())
def test_broken_archives_are_refused(archive: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(archive)


LIMITS: dict[str, tuple[bytes, Limits]] = {
    "members": (header(b"f") * 4, Limits(entries=3)),
    "path": (extended(record(b"path", b"a/" * 40)) + header(b"f"), Limits(path_length=60, name_length=30)),
    "link": (extended(record(b"linkpath", b"a/" * 40)) + header(b"f", b"1"), Limits(path_length=60, name_length=30)),
    "name": (extended(record(b"path", b"a" * 256)) + header(b"f"), Limits()),
    "size of a file": (header(b"f", size=6000), Limits(file_size=5000)),
    "size of the archive": (header(b"f", size=6000) + bytes(6144), Limits(expanded_size=5000)),
    "size of an extended header": (header(b"x", b"x", 2**30), Limits()),
    "size of a long name": (header(b"x", b"L", 2**30), Limits()),
}


@pytest.mark.parametrize(("archive", "limits"), LIMITS.values(), ids=LIMITS.keys())
def test_limits_are_kept(archive: bytes, limits: Limits) -> None:
    with pytest.raises(TooLarge):
        read(archive, limits)
