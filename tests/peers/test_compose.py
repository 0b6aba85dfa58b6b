"""Compose, unmodified: a web application with PostgreSQL and Redis comes up, works, scales, and leaves nothing behind.

Its three images are one, made from Debian's packages.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.daemons import Daemon, lamina_daemon
from support.programs import COMPOSE_NEWEST, need
from support.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]

_SHOP = Path(__file__).with_name("shop")
_PACKAGES = "postgresql,redis-server,python3-minimal,python3-psycopg2,python3-redis"
_MANY = 5
_COMPOSE_5 = str(Path(sys.executable).with_name("docker-compose"))
_COMPOSE_1 = "/usr/bin/docker-compose"  # 1.29, in Python


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the image `services`."""
    tar = tmp_path_factory.mktemp("services") / "services.tar"
    made = [need("mmdebstrap"), "--quiet", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(tar)]
    subprocess.run(made, check=True)
    with lamina_daemon() as daemon:
        daemon.docker("import", str(tar), "services")
        tar.unlink()
        yield daemon


@dataclass
class Project:
    """One project of Compose on one daemon."""

    program: str
    daemon: Daemon
    name: str

    def __call__(self, *words: str, **environment: str) -> str:
        """Run a command of Compose and return what it prints."""
        own = {"DOCKER_HOST": self.daemon.host, "DOCKER_CONFIG": str(self.daemon.folder), **environment}
        line = [self.program, "-p", self.name, "-f", str(_SHOP / "compose.yaml"), *words]
        done = subprocess.run(line, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}{self.daemon.log[-2000:]}"
        return done.stdout

    def visit(self, index: int = 1) -> dict[str, Any]:
        """Visit the web application, once it listens."""
        place = self("port", "--index", str(index), "web", "8000").strip()
        assert place, self("ps", "-a") + self("logs", "web")
        visit: dict[str, Any] = eventually(lambda: _answer(place), seconds=30)
        return visit

    def containers(self, *filters: str) -> list[str]:
        """The IDs of its containers, ended ones too."""
        words = [word for filter_ in filters for word in ("--filter", filter_)]
        label = f"label=com.docker.compose.project={self.name}"
        return self.daemon.text("ps", "-aq", "--no-trunc", "--filter", label, *words).split()


def _answer(place: str) -> dict[str, Any] | None:
    """What the application answers; None where nobody listens yet."""
    try:
        with urllib.request.urlopen(f"http://{place}/", timeout=20) as answer:
            visit: dict[str, Any] = json.load(answer)
    except (urllib.error.URLError, ConnectionResetError):
        return None
    return visit


@pytest.fixture(params=[_COMPOSE_5, COMPOSE_NEWEST, _COMPOSE_1], ids=["compose-5", "compose-newest", "compose-1.29"])
def project(request: pytest.FixtureRequest, daemon: Daemon) -> Iterator[Project]:
    (Path(daemon.folder) / "config.json").write_text("{}")
    project = Project(need(request.param), daemon, "shop" + re.sub(r"\W", "", request.param.rpartition("/")[0])[-4:])
    try:
        yield project
    finally:
        project("--profile", "debug", "down", "-v", "-t", "1")
    assert not project.containers()
    assert project.name not in daemon.text("network", "ls")
    assert not daemon.text("volume", "ls", "-q").split()


def test_a_shop_comes_up_works_and_goes(project: Project) -> None:
    project("up", "-d", GREETING="good day")
    first, second = project.visit(), project.visit()
    assert [(visit["visits"], visit["hits"], visit["greeting"]) for visit in (first, second)] == [
        (1, 1, "good day"),
        (2, 2, "good day"),
    ]
    assert first["motto"] == ("" if project.program == _COMPOSE_1 else "be kind\n")  # 1.29 knows no configs

    _names(project)
    _restarts(project)
    _scales(project)
    _profiles(project)

    project("up", "-d", "--scale", "web=1", GREETING="good night")  # what changed is made anew, data stay
    (web,) = project.containers("label=com.docker.compose.service=web")  # which of them stays is Compose's choice
    number = project.daemon.text("inspect", "-f", '{{index .Config.Labels "com.docker.compose.container-number"}}', web)
    assert project.visit(int(number))["greeting"] == "good night"


def _names(project: Project) -> None:
    """Services are known by their name, by aliases, by containers' names; others' networks stay closed."""
    (database,) = project.containers("label=com.docker.compose.service=db")
    name = project.daemon.text("inspect", "-f", "{{.Name}}", database).strip().lstrip("/")
    looked_up = project("exec", "-T", "web", "getent", "hosts", "db", "database", name, "cache").splitlines()
    addresses = [line.split()[0] for line in looked_up]
    assert len(addresses) == 4
    assert len(set(addresses[:3])) == 1


def _restarts(project: Project) -> None:
    """A restarted database has its data still, and its name means its new address."""
    project("restart", "-t", "2", "db")
    eventually(lambda: "healthy" in _health(project, "db"), seconds=60)
    assert project.visit()["visits"] == 3
    assert "ready" in project("logs", "web")
    assert project("exec", "-T", "cache", "redis-cli", "get", "hits").strip().strip('"') == "3"


def _health(project: Project, service: str) -> str:
    (id,) = project.containers(f"label=com.docker.compose.service={service}")
    return project.daemon.text("inspect", "-f", "{{.State.Health.Status}}", id).strip()


def _scales(project: Project) -> None:
    project("up", "-d", "--scale", f"web={_MANY}", "--no-recreate")
    names = {project.visit(index)["host"] for index in range(1, _MANY + 1)}
    assert len(names) == _MANY
    (cache,) = project.containers("label=com.docker.compose.service=cache")
    replicas = project.daemon.text("exec", cache, "getent", "ahostsv4", "web").split()
    assert len({word for word in replicas if word[0].isdigit()}) == _MANY


def _profiles(project: Project) -> None:
    assert not project.containers("label=com.docker.compose.service=debug")
    project("--profile", "debug", "up", "-d", "--scale", f"web={_MANY}", "--no-recreate")
    (debug,) = project.containers("label=com.docker.compose.service=debug")
    answer = project.daemon.docker("exec", debug, "getent", "hosts", "db", check=False)
    assert answer.returncode != 0  # the database is on the other network
    assert project.daemon.text("exec", debug, "getent", "hosts", "web")


def test_logs_are_followed_over_a_restart(project: Project) -> None:
    project("up", "-d", "cache")
    own = {"DOCKER_HOST": project.daemon.host, "DOCKER_CONFIG": str(project.daemon.folder)}
    line = [project.program, "-p", project.name, "-f", str(_SHOP / "compose.yaml"), "logs", "-f", "cache"]
    with subprocess.Popen(line, env={**os.environ, **own}, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        _until(follower.stdout, "Ready to accept connections")
        project("restart", "-t", "2", "cache")
        _until(follower.stdout, "Ready to accept connections")
        project("stop", "-t", "2", "cache")
        follower.stdout.read()  # it ends by itself
        assert follower.wait(timeout=20) == 0


def _until(lines: Any, text: str) -> None:
    for line in lines:
        if text in line:
            return
    pytest.fail(f"the log ended before {text!r}")
