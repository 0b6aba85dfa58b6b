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
