"""Images with symlinks where the engine mounts, makes or reads something: nothing outside the container is touched."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.hostile import OFF, Target, link

pytestmark = pytest.mark.root

UP = "../" * 20
FILES = ("etc/resolv.conf", "etc/hosts", "etc/hostname")


@pytest.fixture(params=["absolute", "relative"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A symlink's way to a folder of the host, which must stay as it is."""
    folder = tmp_path / "host"
    (folder / "etc").mkdir(parents=True)
    for name in ("secret", "hosts", "etc/secret"):
        (folder / name).write_text("of the host")
    before = _seen(folder)
    yield str(folder) if request.param == "absolute" else f"{UP}{folder}".replace("//", "/")
    assert _seen(folder) == before


def _seen(folder: Path) -> dict[str, tuple[int, int, int]]:
    status = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {str(path): (found.st_mode, found.st_size, found.st_mtime_ns) for path, found in status.items()}


def _run(target: Target, members: Sequence[tarfile.TarInfo], *options: str, without: Sequence[str] = ()) -> bytes:
    """What a container of a hostile image says; it may be refused, with a sentence."""
    target.image("links", members=members, without=without)
    look = "cat /etc/hosts /etc/secret /secret /link/secret /data/secret; ls /data /link; mount"
    done = target.cli("run", "--rm", *OFF, *options, "links", "sh", "-c", look, check=False)
    assert done.returncode in (0, 1, 125), done.stderr
    assert b"internal error" not in done.stderr
    assert b"of the host" not in done.stdout
    return done.stdout


@pytest.mark.parametrize("place", ["proc", "dev", "sys", "etc", "dev/shm", "dev/pts", "dev/console", "proc/sys"])
def test_places_of_the_engines_own_mounts(either: Target, host: str, place: str) -> None:
    without = [place] if "/" not in place else []
    _run(either, [link(place, f"{host}/{place}")], "-t", without=without)


def test_files_that_the_engine_writes(target: Target, host: str) -> None:
    said = _run(target, [link(name, f"{host}/{Path(name).name}") for name in FILES], without=FILES)
    assert b"127.0.0.1" in said


@pytest.mark.parametrize("inside", ["", "/etc/sub"])
@pytest.mark.parametrize("kind", ["folder", "file", "tmpfs"])
def test_targets_of_mounts(either: Target, host: str, tmp_path: Path, kind: str, inside: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mounted")
    mount = ("--tmpfs", f"/data{inside}") if kind == "tmpfs" else ("-v", f"{tmp_path / kind}:/data{inside}")
    _run(either, [link("data", host)], *mount)


def test_volumes_and_working_directories_of_images(target: Target, host: str) -> None:
    for where, change in ((host, "VOLUME /link"), ("/", "VOLUME /link"), (host, "WORKDIR /link/new")):
        target.image("linked", members=[link("link", where)], changes=[change])
        done = target.cli("run", "--rm", *OFF, "linked", "cat", "/link/secret", "secret", "../secret", check=False)
        assert done.returncode in (1, 125)
        assert b"internal error" not in done.stderr
        built = target.build("FROM linked\nRUN cat /link/secret ../secret || true\nRUN touch /link/new || true\n")
        assert "of the host" not in built
        assert "internal error" not in built


def test_a_working_directory_behind_a_link_to_nothing_is_made_inside(target: Target) -> None:
    target.image("linked", members=[link("link", "/not/yet"), link("loop", "loop")])
    assert target.cli.text("run", "--rm", *OFF, "-w", "/link/new", "linked", "pwd").strip().endswith("/new")
    for wrong in ("/loop", "/loop/x", "/" + "a" * 300, "/bin/busybox", "/bin/busybox/x"):
        id = target.create("true", image="linked", WorkingDir=wrong, host={"AutoRemove": True})
        answer = target.start(id)
        assert (answer.status, "Cannot mkdir" in answer.message) == (400, True)
        assert target.ask("POST", f"/containers/{id}/wait?condition=removed").status in (200, 404)


def test_copies_of_builds_stay_inside(target: Target, host: str) -> None:
    target.image("linked", members=[link("link", host)])
    said = target.build("FROM linked\nCOPY x /link/x\nADD x /link/y\nWORKDIR /link/z\nRUN ls -l /link\n", x=b"inside")
    assert "Successfully built" in said
    first = target.build("FROM linked AS a\nFROM bb\nCOPY --from=a /link/secret /s\nRUN cat /s\n")
    assert "of the host" not in first
    assert "errorDetail" in first
