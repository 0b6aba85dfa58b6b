"""Archives that ask for more than any machine has, on every way in: memory and disk stay as they are."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest

from lamina.layers.tar.header import checksum_of
from support.floods import send, small
from support.hostile import Target
from support.memory import MIB

pytestmark = pytest.mark.root

HUGE = 1 << 62  # bytes, far more than any disk


def header(name: str, kind: bytes, size: int) -> bytes:
    """A tar header that claims `size` bytes, in base 256 where they do not fit octal digits."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def many_members(count: int, name: Callable[[int], str]) -> Iterator[bytes]:
    """A tar of empty files."""
    for start in range(0, count, 2000):
        yield b"".join(header(name(number), tarfile.REGTYPE, 0) for number in range(start, min(start + 2000, count)))
    yield bytes(1024)


def long_record() -> Iterator[bytes]:
    """A PAX header of hundreds of megabytes."""
    yield header("x", tarfile.XHDTYPE, 400 * MIB)
    yield from (b"x" * MIB for _ in range(400))


def long_name() -> Iterator[bytes]:
    yield header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 400 * MIB)
    yield from (b"x" * MIB for _ in range(400))


def sparse(size: int) -> Iterator[bytes]:
    """A file whose data are four bytes before an endless hole (GNU tar's old format)."""
    block = bytearray(header("holes", b"S", 512))
    block[386:410] = b"%011o\0%011o\0" % (0, 512)
    block[483:495] = b"\x80" + size.to_bytes(11, "big")
    block[148:156] = b"%06o\0 " % checksum_of(bytes(block[:148] + b" " * 8 + block[156:]))
    yield bytes(block) + b"data" + bytes(508) + bytes(1024)


def attributes() -> Iterator[bytes]:
    """Files with as many extended attributes as one may have."""
    tar = BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as made:
        for number in range(1000):
            member = tarfile.TarInfo(f"f{number}")
            member.pax_headers = {f"SCHILY.xattr.user.a{number}-{n}": "v" * 60000 for n in range(4)}
            made.addfile(member)
            yield tar.getvalue()
            tar.seek(0)
            tar.truncate()
    yield bytes(1024)


def bomb() -> Iterator[bytes]:
    """Gigabytes of zeros, compressed, behind a header that claims even more."""
    packed = BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as file:
        file.write(header("zeros", tarfile.REGTYPE, HUGE))
        for _ in range(1024):
            file.write(bytes(MIB))
            yield packed.getvalue()
            packed.seek(0)
            packed.truncate()


def same_name(count: int) -> Iterator[bytes]:
    return many_members(count, lambda number: "again")


WAYS = {
    "load": ("POST", "/images/load"),
    "import": ("POST", "/images/create?fromSrc=-&repo=imported"),
    "build": ("POST", "/build?networkmode=none"),
    "cp": ("PUT", "/containers/{id}/archive?path=/"),
}
BOMBS: dict[str, Callable[[], Iterator[bytes]]] = {
    "record": long_record,
    "name": long_name,
    "exabytes": lambda: sparse(HUGE),
    "attributes": attributes,
    "compressed": bomb,
    "same": lambda: same_name(5_000),
}


@pytest.mark.parametrize("attack", BOMBS)
@pytest.mark.parametrize("way", WAYS)
def test_archives_that_ask_for_too_much(target: Target, way: str, attack: str) -> None:
    method, path = WAYS[way]
    id = target.create("sleep", "1") if way == "cp" else ""
    with small(target, 300 * MIB):
        answer = send(target, method, path.format(id=id), BOMBS[attack](), Content_Type="application/x-tar")
        assert b"internal error" not in answer.body
    target.remove(id)
    target.cli("rmi", "imported", check=False)
    assert not list((target.daemon.folder / "d/temporary").iterdir())


@pytest.mark.parametrize("way", WAYS)
def test_very_many_members(target: Target, way: str) -> None:
    """Each takes some memory while the archive is read, about as much as `Limits.entries` says."""
    method, path = WAYS[way]
    id = target.create("sleep", "1") if way == "cp" else ""
    members = many_members(20_000, lambda number: f"d{number % 300}/f{number}")
    with small(target):
        answer = send(target, method, path.format(id=id), members, Content_Type="application/x-tar")
        assert b"internal error" not in answer.body
    target.remove(id)
    target.cli("rmi", "imported", check=False)


def test_an_archive_of_very_many_documents(target: Target) -> None:
    """One byte each: reading them takes time for each, not for each that was before."""
    members = (header(f"d{number}", tarfile.REGTYPE, 1) + b"x" + bytes(511) for number in range(70_000))
    with small(target):
        answer = send(target, "POST", "/images/load", members)
    assert "more than 65536 members" in answer.lines[-1]["errorDetail"]["message"]
