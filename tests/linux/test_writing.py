"""Whole writes through pipes that take little at a time, and disks that are full."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.errors import NoSpace
from lamina.linux.writing import full_disk_as_no_space, is_disk_full, write_all, write_all_at


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(st.integers(0, 200_000), max_size=4), blocking=st.booleans(), seed=st.binary(min_size=1))
def test_every_byte_arrives_in_order(pieces: list[int], blocking: bool, seed: bytes) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, blocking)
    arrived = bytearray()

    def read() -> None:
        while data := os.read(reading, 1000):
            arrived.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    texts = [(seed * size)[:size] for size in pieces]
    try:
        for number, text in enumerate(texts):
            write_all(writing, memoryview(text) if number % 2 else text)
    finally:
        os.close(writing)
        reader.join()
        os.close(reading)
    assert bytes(arrived) == b"".join(texts)


def test_a_pipe_without_readers_breaks() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with pytest.raises(BrokenPipeError):
            write_all(writing, b"text")
    finally:
        os.close(writing)


def test_a_full_disk_is_no_space() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(NoSpace, match="the shelf is full") as caught, full_disk_as_no_space("the shelf is full"):
            write_all(full, b"text")
    finally:
        os.close(full)
    assert is_disk_full(caught.value.__cause__)


@given(number=st.sampled_from(sorted(errno.errorcode)))
def test_only_a_full_disk_or_quota_counts(number: int) -> None:
    assert is_disk_full(OSError(number, os.strerror(number))) == (number in (errno.ENOSPC, errno.EDQUOT))


def test_other_failures_pass_unchanged() -> None:
    with pytest.raises(FileNotFoundError), full_disk_as_no_space():
        os.open("/nonexistent/file", os.O_RDONLY)


@given(st.lists(st.binary(max_size=100_000), max_size=5), st.integers(0, 5000))
def test_pieces_written_at_their_places_make_the_whole(pieces: list[bytes], start: int) -> None:
    with tempfile.TemporaryFile() as file:
        places = [start + sum(map(len, pieces[:number])) for number in range(len(pieces))]
        for place, piece in reversed(list(zip(places, pieces, strict=True))):
            write_all_at(file.fileno(), piece, place)
        whole = b"".join(pieces)
        assert file.read() == (bytes(start) + whole if whole else b"")
