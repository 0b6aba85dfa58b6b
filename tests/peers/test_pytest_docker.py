"""pytest-docker, unmodified: the tests of a project get its services from Compose, and clean up behind them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.daemons import lamina_daemon
from support.programs import BUILDX, CLIENT_NEWEST, COMPOSE_NEWEST, PEERS, need, need_folder

pytestmark = [pytest.mark.root, pytest.mark.peer]

_COMPOSE = """\
services:
  site:
    build: .
    ports: ["80"]
    volumes: ["kept:/kept"]
volumes: {kept: }
"""
_DOCKERFILE = """\
FROM base
RUN mkdir /w && echo served > /w/index.html
CMD ["httpd", "-f", "-p", "80", "-h", "/w"]
"""
_TEST = """\
import urllib.error, urllib.request


def answer(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read()
    except OSError:
        return b""


def test_the_site(docker_ip, docker_services):
    url = f"http://{docker_ip}:{docker_services.port_for('site', 80)}/"
    docker_services.wait_until_responsive(lambda: answer(url), timeout=30, pause=0.1)
    assert answer(url) == b"served\\n"
"""


def test_a_projects_tests_get_their_services(busybox_tar: Path, tmp_path: Path) -> None:
    plugin = need_folder(PEERS / "pytest-docker")
    (tmp_path / "tests").mkdir()
    for name, text in {"docker-compose.yml": _COMPOSE, "Dockerfile": _DOCKERFILE, "test_site.py": _TEST}.items():
        (tmp_path / "tests" / name).write_text(text)
    with lamina_daemon() as daemon:
        (daemon.folder / "cli-plugins").mkdir()
        for program in (BUILDX, COMPOSE_NEWEST):
            (daemon.folder / "cli-plugins" / Path(program).name).symlink_to(need(program))
        daemon.docker("import", "-c", "ENV PATH=/bin:/sbin", str(busybox_tar), "base")
        environment = {
            **os.environ,
            "DOCKER_HOST": daemon.host,
            "DOCKER_CONFIG": str(daemon.folder),
            "PATH": f"{Path(need(CLIENT_NEWEST)).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(plugin),
        }
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "tests"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout
        assert not daemon.text("ps", "-aq")
        assert not daemon.text("volume", "ls", "-q")
        assert len(daemon.text("network", "ls", "-q").split()) == 3
