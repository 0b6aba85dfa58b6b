"""Clients whose sessions lie: paths that lead out, files nobody asked for, lists without an end, and silence."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lamina.daemon.buildkit.messages.session import PACKET_DATA, PACKET_ERROR, PACKET_STAT, Packet, Stat
from lamina.daemon.buildkit.rpc import Call
from support.buildkit import DIFF_COPY, build, error_of, sharing
from support.daemons import Daemon, lamina_daemon
from support.waiting import eventually

DIRECTORY, SYMLINK = 1 << 31, 1 << 27
FOLDER = Stat("a", DIRECTORY | 0o755)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


def open_files(daemon: Daemon) -> list[str]:
    """What the daemon has open in its folder for temporary files."""
    assert daemon.process is not None
    descriptors = Path(f"/proc/{daemon.process.pid}/fd")
    targets = [os.readlink(path) for path in descriptors.iterdir() if path.is_symlink()]
    return [target for target in targets if "/d/temporary" in target or "/d/build" in target]


@pytest.fixture(autouse=True)
def nothing_left(daemon: Daemon) -> Iterator[None]:
    yield
    eventually(lambda: not open_files(daemon))
    eventually(lambda: not [path for path in (daemon.folder / "d/temporary").rglob("*") if path.is_file()])
    assert daemon.answers()


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        ([Stat("../x", 0o644)], "outside the build context"),
        ([Stat("/etc/x", 0o644)], "no place"),
        ([FOLDER, Stat("a/../../x", 0o644)], "no place"),
        ([FOLDER, Stat("a//x", 0o644)], "no place"),
        ([Stat("a", SYMLINK | 0o777, target="/etc"), Stat("a/passwd", 0o644)], "before the directory"),
        ([Stat("b/x", 0o644)], "before the directory"),
        ([FOLDER, FOLDER], "twice"),
        ([Stat("x", 0o644, target="../etc/passwd")], "has not sent"),
        ([Stat("x", 0o644, size=1 << 62)], "larger than"),
        ([Stat("x" * 300, 0o644)], "too long"),
        ([Stat("x\0y", 0o644)], "no place"),
    ],
)
def test_a_listing_that_leads_out_is_refused(daemon: Daemon, listing: Sequence[Stat], words: str) -> None:
    lines = asyncio.run(build(daemon.socket, sharing(listing, {})))

    assert words in error_of(lines), lines[-1]


def test_links_and_odd_files_stay_inside(daemon: Daemon) -> None:
    listing = [
        Stat("abs", SYMLINK | 0o777, target="/etc/shadow"),
        Stat("grown", 0o644, size=3),
        Stat("shrunk", 0o644, size=3_000_000),
        Stat("socket", 1 << 24),
    ]
    contents = {"grown": b"much longer than it said", "shrunk": b"short"}
    lines = asyncio.run(build(daemon.socket, sharing(listing, contents), "&t=odd"))

    assert error_of(lines) == ""
    tar = daemon.docker("save", "odd").stdout
    assert b"much longer than it said" in tar
    assert b"root:" not in tar


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (Packet(PACKET_DATA, id=7, data=b"x"), "not asked for"),
        (Packet(PACKET_ERROR, data=b"my disk is broken"), "my disk is broken"),
        (Packet(9), "unknown type"),
    ],
)
def test_packets_out_of_turn_are_refused(daemon: Daemon, packet: Packet, words: str) -> None:
    async def diff_copy(call: Call) -> None:
        await call.send(packet)
        await call.receive_batch()

    assert words in error_of(asyncio.run(build(daemon.socket, {DIFF_COPY: diff_copy})))


def test_a_client_that_stops_in_the_middle_is_told_of(daemon: Daemon) -> None:
    async def diff_copy(call: Call) -> None:
        await call.send(Packet(PACKET_STAT, stat=Stat("Dockerfile", 0o644, size=10)))

    assert "in the middle" in error_of(asyncio.run(build(daemon.socket, {DIFF_COPY: diff_copy})))


def test_a_client_that_offers_no_files_is_told_so(daemon: Daemon) -> None:
    assert "not supported by the client" in error_of(asyncio.run(build(daemon.socket, {})))


def test_a_list_without_an_end_stops_with_its_client(daemon: Daemon) -> None:
    async def attack() -> None:
        vanish = asyncio.Event()

        async def diff_copy(call: Call) -> None:
            for number in range(1_000_000):
                await call.send(Packet(PACKET_STAT, stat=Stat(f"f{number:07}", 0o644)))
                if number == 3000:
                    vanish.set()

        await build(daemon.socket, {DIFF_COPY: diff_copy}, vanish=vanish)

    asyncio.run(attack())


def test_a_client_that_says_nothing_delays_nobody(daemon: Daemon) -> None:
    async def attack() -> None:
        vanish = asyncio.Event()

        async def silent(call: Call) -> None:
            await asyncio.Event().wait()

        builds = [asyncio.ensure_future(build(daemon.socket, {DIFF_COPY: silent}, vanish=vanish)) for _ in range(10)]
        small = sharing([Stat("f", 0o644, size=1)], {"f": b"x"})
        assert error_of(await build(daemon.socket, small)) == ""
        vanish.set()
        await asyncio.gather(*builds)

    asyncio.run(attack())


def test_ten_sessions_at_once_do_not_mix(daemon: Daemon) -> None:
    async def attack() -> None:
        builds = [
            build(
                daemon.socket,
                sharing([Stat("f", 0o644, size=20_000)], {"f": f"marker-{number}-".encode() * 1800}),
                f"&t=mixed{number}",
            )
            for number in range(10)
        ]
        assert [error_of(lines) for lines in await asyncio.gather(*builds)] == [""] * 10

    asyncio.run(attack())
    for number in range(10):
        assert f"marker-{number}-".encode() in daemon.docker("save", f"mixed{number}").stdout
