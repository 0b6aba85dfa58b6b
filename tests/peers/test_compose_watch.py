"""Compose's watch, unmodified: files that change are synced into running containers, restart them, or rebuild them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon
from support.programs import BUILDX, COMPOSE_NEWEST, need
from support.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.peer]

_COMPOSE_5 = str(Path(sys.executable).with_name("docker-compose"))
_PROJECT = """
services:
  site:
    build: .
    init: true
    stop_grace_period: 1s
    develop:
      watch:
        - {action: sync, path: ./pages, target: /pages}
        - {action: sync+restart, path: ./settings, target: /settings}
        - {action: rebuild, path: ./program}
"""
_DOCKERFILE = """\
FROM busybox
COPY pages /pages
COPY settings /settings
COPY program /program
CMD ["sh", "/program"]
"""
_PROGRAM = "cat /settings/name; echo started; exec sleep 1000\n"


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        (daemon.folder / "cli-plugins").mkdir()
        (daemon.folder / "cli-plugins/docker-buildx").symlink_to(need(BUILDX))  # Compose builds with it
        daemon.docker("import", "-c", "ENV PATH=/bin:/sbin", str(busybox_tar), "busybox")
        yield daemon


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    files = {"compose.yaml": _PROJECT, "Dockerfile": _DOCKERFILE, "program": _PROGRAM}
    files |= {"pages/index": "first", "pages/old": "old", "settings/name": "ada\n"}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("program", [_COMPOSE_5, COMPOSE_NEWEST], ids=["compose-5", "compose-newest"])
def test_changes_reach_the_running_service(daemon: Daemon, folder: Path, tmp_path: Path, program: str) -> None:
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "DOCKER_CONFIG": str(daemon.folder)}
    compose = [need(program), "--progress", "plain"]
    output = tmp_path / "output"
    with (
        output.open("wb") as log,
        subprocess.Popen(
            [*compose, "up", "--build", "--watch"], cwd=folder, env=environment, stdout=log, stderr=log
        ) as watching,
    ):
        try:
            eventually(lambda: "atch enabled" in output.read_text() and _ready(daemon), seconds=60)
            _sync(daemon, folder)
            _sync_and_restart(daemon, folder)
            if program == _COMPOSE_5:  # 2.40 crashes when a container that died is removed before it looks
                _rebuild(daemon, folder)
            watching.send_signal(signal.SIGINT)
            watching.wait(30)
        except BaseException as error:
            error.add_note(output.read_text()[-3000:])
            raise
        finally:
            watching.kill()
            subprocess.run([*compose, "down", "-v", "-t", "1"], cwd=folder, env=environment, check=True)
    assert not daemon.text("ps", "-aq")


def _site(daemon: Daemon) -> str:
    """The ID of the one container that runs, "" while there is none."""
    ids = daemon.text("ps", "-q", "--no-trunc").split()
    return ids[0] if len(ids) == 1 else ""


def _ready(daemon: Daemon) -> bool:
    return _site(daemon) != "" and "started" in daemon.text("logs", _site(daemon))


def _read(daemon: Daemon, path: str) -> str:
    done = daemon.docker("exec", _site(daemon), "cat", path, check=False)
    return done.stdout.decode() if done.returncode == 0 else ""


def _sync(daemon: Daemon, folder: Path) -> None:
    site = _site(daemon)
    (folder / "pages/index").write_text("second")
    (folder / "pages/new").mkdir()
    (folder / "pages/new/file").write_text("new")
    (folder / "pages/old").unlink()
    eventually(lambda: _read(daemon, "/pages/index") == "second", seconds=30)
    eventually(lambda: _read(daemon, "/pages/new/file") == "new", seconds=30)
    eventually(lambda: daemon.docker("exec", site, "test", "-e", "/pages/old", check=False).returncode == 1, seconds=30)
    assert _site(daemon) == site


def _sync_and_restart(daemon: Daemon, folder: Path) -> None:
    site = _site(daemon)
    (folder / "settings/name").write_text("grace\n")
    eventually(lambda: "grace\nstarted" in daemon.text("logs", site), seconds=30)
    assert _site(daemon) == site


def _rebuild(daemon: Daemon, folder: Path) -> None:
    site = _site(daemon)
    (folder / "program").write_text(f"echo rebuilt; {_PROGRAM}")
    eventually(lambda: _site(daemon) not in ("", site) and "rebuilt" in daemon.text("logs", _site(daemon)), seconds=60)
    assert _read(daemon, "/pages/index") == "second"
