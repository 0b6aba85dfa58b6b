"""A disk that gets full under the engine: work that needs room fails with Docker's words, leaves nothing, and goes on
when there is room again."""

from __future__ import annotations

import gzip
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lamina.linux.mounts import mount, umount2
from support.engines import LAMINA
from support.hostile import OFF, Target, archive, attacked

pytestmark = pytest.mark.root

SIZE = 64 << 20  # bytes of the disk
BIG = os.urandom(8 << 20)  # what does not fit once the disk is full, and no compression helps
FULL = "no space left on device"


def _bomb(size: int) -> bytes:
    """A compressed archive of one file of zeros, a thousand times larger than itself; `size` in 8 MiB."""
    member = tarfile.TarInfo("zeros")
    member.size = size * len(BIG)
    return gzip.compress(member.tobuf()) + gzip.compress(bytes(len(BIG))) * size


BOMB = _bomb(64)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path_factory.mktemp("disk")
    mount("tmpfs", place, "tmpfs", data=f"size={SIZE}")
    yield place
    umount2(place)


@pytest.fixture(scope="module")
def target(disk: Path, busybox_tar: Path) -> Iterator[Target]:
    with attacked(busybox_tar, "--data-root", str(disk / "data")) as target:
        yield target
        target.remove(*target.cli.text("ps", "-aq").split())


@contextmanager
def full(disk: Path, left: int = 1 << 20) -> Iterator[None]:
    """The disk with only so many bytes left."""
    ballast = disk / "ballast"
    room = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - left)
    try:
        yield
    finally:
        ballast.unlink()


def _used(disk: Path) -> set[str]:
    """The files that hold content."""
    kept = ("layers", "blobs", "ingest", "snapshots", "containers")
    return {str(path) for name in kept for path in (disk / "data" / name).rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/images/create?fromSrc=-&repo=big", archive({"big": BIG})),
        ("POST", "/images/load", archive({"blobs/sha256/" + "0" * 64: archive({"big": BIG})})),
        ("POST", "/images/create?fromSrc=-&repo=big", BOMB),
        ("POST", "/images/load", BOMB),
        ("POST", "/images/load", archive({"blobs/sha256/" + "0" * 64: BOMB})),
        ("POST", "/build", BOMB),
        ("POST", "/build", archive({"Dockerfile": b"FROM scratch\nADD bomb /\n", "bomb": BOMB})),
        ("POST", "/build", archive({"Dockerfile": b"FROM scratch\nCOPY big /\n", "big": BIG})),
        ("POST", "/build", archive({"Dockerfile": b"FROM bb\nRUN dd if=/dev/urandom of=/big bs=1M count=8\n"})),
    ],
    ids=["import", "load", "import bomb", "load bomb", "layer bomb", "context bomb", "add bomb", "copy", "run"],
)
def test_images_that_do_not_fit(target: Target, disk: Path, method: str, path: str, body: bytes) -> None:
    before = _used(disk)
    with full(disk):
        answer = target.ask(method, path, body, "application/x-tar")
        said = answer.body.decode().lower()
        assert FULL in said or (body is BOMB and "no image archive" in said)
        assert "internal error" not in said
        assert answer.status in (200, 507) or body is BOMB
    assert _used(disk) == before
    assert target.ask("GET", "/images/big/json").status == 404


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of a registry on another disk."""
    command = [*LAMINA, "registry", "serve", "--root", str(tmp_path), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().decode().split()[-1]
        finally:
            process.terminate()


def test_pulls_that_do_not_fit(target: Target, disk: Path, registry: str) -> None:
    name = f"{registry}/big:1"
    target.cli("import", "-", name, stdin=archive({"big": BIG}))
    target.cli("push", "-q", name)
    target.cli("rmi", name)
    before = _used(disk)
    with full(disk):
        assert FULL in target.cli.fails("pull", name, code=1)
    assert _used(disk) == before
    target.cli("pull", name)
    target.cli("rmi", name)


def test_containers_that_do_not_fit(target: Target, disk: Path) -> None:
    with target.running("dd if=/dev/urandom of=/big bs=1M count=8; touch /ready; exec sleep 300") as id:
        target.cli("exec", id, "sh", "-c", "until test -e /ready; do :; done")
        before = _used(disk)
        with full(disk):
            answer = target.ask("POST", f"/commit?container={id}&repo=big")
            assert (answer.status, FULL in answer.message) == (507, True)
            assert _used(disk) == before
            copied = target.ask("PUT", f"/containers/{id}/archive?path=/", archive({"more": BIG}), "application/x-tar")
            assert (copied.status, FULL in copied.message) == (507, True)
    assert target.ask("GET", "/images/big/json").status == 404


def test_a_disk_without_a_byte_left(target: Target, disk: Path) -> None:
    idle = target.create("true")
    with full(disk, 0):
        for method, path, body in (
            ("POST", "/containers/create", {"Image": "bb", "Cmd": ["true"]}),
            ("POST", "/volumes/create", {"Name": "full"}),
            ("POST", "/networks/create", {"Name": "full"}),
            ("POST", "/images/bb/tag?repo=full", None),
            ("POST", f"/containers/{idle}/start", None),
        ):
            answer = target.ask(method, path, body)
            assert answer.status in (200, 201, 204, 507), (path, answer.body)
            if answer.status == 507:
                assert FULL in answer.message
        assert target.cli("ps", "-a").returncode == target.cli("images").returncode == 0
        target.ask("DELETE", "/volumes/full")
        target.ask("DELETE", "/networks/full")
    assert target.cli.text("run", "--rm", *OFF, "bb", "echo", "again") == "again\n"
    target.remove(idle)


def test_output_on_a_full_disk_is_lost_line_by_line(target: Target, disk: Path) -> None:
    script = "until test -e /go; do :; done; seq 100000 199999; until test -e /on; do :; done; echo last"
    with target.running(script) as id:
        with full(disk, 2 << 20):
            target.cli("exec", id, "touch", "/go")
            target.cli("exec", id, "sh", "-c", "until test -e /gone || ! pgrep seq; do :; done", check=False)
        target.cli("exec", id, "touch", "/on")
        lines = target.output(id).splitlines()
    assert lines[0] == "100000"
    assert lines[-1] == "last"
    assert all(len(line) == 6 for line in lines[:-1])
