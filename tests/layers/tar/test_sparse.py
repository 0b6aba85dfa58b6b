"""Sparse members: GNU's maps in their three forms, right and wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lamina.errors import InvalidInput, TooLarge
from lamina.layers.limits import Limits
from layers.tar.blocks import END, extended, header, only, padded, read, record


def sparse_1_0(table: bytes, real_size: bytes = b"100", size: int | None = None) -> bytes:
    records = record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0")
    records += record(b"GNU.sparse.name", b"f") + record(b"GNU.sparse.realsize", real_size)
    data = padded(table)
    return (
        extended(records) + header(b"x", size=len(data) + 10 if size is None else size) + data + padded(b"0123456789")
    )


def sparse_0_1(table: bytes, count: bytes = b"1") -> bytes:
    records = record(b"GNU.sparse.map", table) + record(b"GNU.sparse.numblocks", count)
    return extended(records + record(b"GNU.sparse.size", b"100")) + header(b"f", size=10) + padded(b"0123456789")


def test_sparse_maps_are_made_plain() -> None:
    entry = only(sparse_1_0(b"4\n0\n4\n4\n1\n50\n0\n60\n5\n"))
    assert (entry.size, entry.sparse) == (100, ((0, 5), (60, 5)))
    assert only(sparse_1_0(b"1\n0\n10\n", b"10")).sparse is None


BROKEN_MAPS = {
    "no numbers": sparse_1_0(b"x\n"),
    "too few numbers": sparse_1_0(b"3\n0\n10\n"),
    "no end": sparse_1_0(b"9" * 512),
    "a negative number": sparse_1_0(b"1\n-5\n10\n"),
    "pieces in the wrong order": sparse_1_0(b"2\n50\n5\n0\n5\n"),
    "pieces over each other": sparse_1_0(b"2\n0\n6\n4\n4\n"),
    "a piece behind the end": sparse_1_0(b"1\n95\n10\n"),
    "more data than pieces": sparse_1_0(b"1\n0\n5\n"),
    "less data than pieces": sparse_1_0(b"1\n0\n50\n"),
    "a map larger than the member": sparse_1_0(b"1\n0\n10\n", size=100),
    "half a pair": sparse_0_1(b"0"),
    "a wrong count": sparse_0_1(b"0,10", b"2"),
    "a map that is no numbers": sparse_0_1(b"0,ten"),
    "an old map that is no numbers": header(b"f", b"S", 10, magic=b"ustar  \0")[:386]
    + b"garbagegarbage".ljust(126, b"x"),
}


@pytest.mark.parametrize("archive", BROKEN_MAPS.values(), ids=BROKEN_MAPS.keys())
def test_broken_sparse_maps_are_refused(archive: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(archive + END)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sparse_1_0(b"9000000\n" + b"1\n" * 40000),
        lambda: sparse_0_1(b",".join([b"0"] * 800), b"400"),
    ],
)
def test_sparse_maps_have_a_limit(make: Callable[[], bytes]) -> None:
    with pytest.raises(TooLarge):
        read(make(), Limits(sparse_pieces=300, header_size=1 << 16))
