"""A daemon that today's clients of Docker build with, and a project for them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA
from support.programs import BUILDX, need

PROJECT = """
services:
  one:
    image: compose-one
    build:
      context: .
      dockerfile_inline: |
        FROM busybox
        ARG WHO
        COPY --from=extra word /word
        COPY here /here
        RUN --mount=type=secret,id=token test $(cat /run/secrets/token) = s3cr3t && echo $$WHO > /who
      args: {WHO: ada}
      additional_contexts: {extra: ../extra}
      secrets: [token]
  two:
    image: compose-two
    build:
      context: .
      dockerfile_inline: |
        FROM one
        RUN cat /who /word /here > /all
      additional_contexts: {one: "service:one"}
secrets:
  token: {file: ../token}
"""
BAKE = """
group "default" { targets = ["base", "top"] }
target "base" {
  context = "."
  dockerfile-inline = "FROM busybox\\nRUN echo low > /low\\n"
  tags = ["bake-base"]
}
target "top" {
  context = "."
  dockerfile-inline = "FROM low\\nCOPY here /here\\nRUN cat /low /here > /all\\n"
  contexts = { low = "target:base" }
  tags = ["bake-top"]
}
"""


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        (daemon.folder / "cli-plugins").mkdir()
        (daemon.folder / "cli-plugins/docker-buildx").symlink_to(need(BUILDX))  # Compose builds with it
        add_busybox(daemon, busybox_tar)
        yield daemon


def add_busybox(daemon: Daemon, tar: Path) -> None:
    command = [*LAMINA, "--host", daemon.host, "import", "-c", 'CMD ["sh"]', str(tar), "busybox"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("s3cr3t")
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra/word").write_text("word\n")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "here").write_text("here\n")
    (folder / "compose.yaml").write_text(PROJECT)
    (folder / "docker-bake.hcl").write_text(BAKE)
    (folder / "Dockerfile").write_text("FROM busybox\nCOPY here /here\nRUN echo made > /made\n")
    return folder


def run(
    daemon: Daemon, folder: Path, *command: str, check: bool = True, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "DOCKER_CONFIG": str(daemon.folder)}
    done = subprocess.run(
        [need(command[0]), *command[1:]],
        env=environment,
        input=stdin,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not check or done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done


def read(daemon: Daemon, image: str, path: str) -> str:
    return daemon.text("run", "--rm", "--network", "none", image, "cat", path)
