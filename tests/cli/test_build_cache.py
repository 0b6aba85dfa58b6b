"""`lamina build` with a cache in a folder, `lamina builder cache` and `lamina builder du --verbose`."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


def run(daemon: Daemon, *arguments: str | Path) -> str:
    command = [*LAMINA, "--host", daemon.host, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_cache_mount_goes_to_another_machine(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "wheel").write_text("built")
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        archive.add(tmp_path / "wheel", "wheel")
    id = run(daemon, "builder", "cache", "import", "-i", tmp_path / "in.tar", "/root/.cache/pip").strip()
    assert run(daemon, "builder", "cache", "ls", "-q", "--no-trunc").split() == [id]
    listed = run(daemon, "builder", "cache", "ls")
    assert "/root/.cache/pip" in listed
    assert "Less than a second ago" in listed or "second" in listed
    run(daemon, "builder", "cache", "export", "-o", tmp_path / "out.tar", "/root/.cache/pip")
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.getnames() == [".", "wheel"]
    run(daemon, "builder", "cache", "rm", id.partition(":")[2][:12])
    assert run(daemon, "builder", "cache", "ls", "-q") == ""


def test_an_image_gets_fewer_layers(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY a /\nCOPY a /b\nCOPY a /c\n")
    (tmp_path / "a").write_text("1")
    run(daemon, "build", "-t", "many", tmp_path)
    run(daemon, "build", "--squash", "-t", "one", tmp_path)
    run(daemon, "build", "--squash=every=2", "-t", "two", tmp_path)
    id = run(daemon, "image", "squash", "--every", "2", "-t", "again", "many").strip()
    run(daemon, "image", "squash", "-t", "all", "many")
    layers = "{{len .RootFS.Layers}} {{.Id}}"
    shown = [
        run(daemon, "image", "inspect", "--format", layers, name).split() for name in ("one", "two", "again", "all")
    ]
    assert [int(count) for count, _ in shown] == [1, 2, 2, 1]
    assert shown[1][1] == shown[2][1] == id
    assert "squash layers 1 to 2 of sha256:" in run(daemon, "history", "--no-trunc", "two")


def test_a_folder_keeps_the_cache_of_a_build(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY a /\n")
    (tmp_path / "a").write_text("1")
    cache = tmp_path / "cache"
    shown = run(daemon, "build", "-t", "cached", "--cache-to", f"type=local,dest={cache}", tmp_path)
    assert f"exported 1 steps with 1 layers to {cache}" in shown
    described = run(daemon, "builder", "du", "--verbose")
    assert "Description: COPY a /\n" in described
    assert "Why kept:    image cached:latest needs it\n" in described
    with lamina_daemon() as other:
        assert "Using cache" in run(other, "build", "--cache-from", f"type=local,src={cache}", tmp_path)
