"""The three clients a user may have, with one face: two of Docker's, and lamina's own."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.engines import LAMINA
from support.programs import CLIENT_20, CLIENT_NEWEST, need
from support.terminal import Terminal

PATIENCE = 60.0  # seconds until what must happen has not


def _docker(path: str, identifier: str) -> object:
    return pytest.param((path,), id=identifier, marks=pytest.mark.peer)


CLIENTS = [
    pytest.param(tuple(LAMINA), id="lamina"),
    _docker(CLIENT_20, "docker20"),
    _docker(CLIENT_NEWEST, "docker-newest"),
]


@dataclass(frozen=True)
class Client:
    """A command line talking to the daemon at `host`, with settings of its own in `config`."""

    command: tuple[str, ...]
    host: str
    config: Path

    @property
    def environment(self) -> dict[str, str]:
        own = {"DOCKER_HOST": self.host, "LAMINA_HOST": self.host, "DOCKER_CONFIG": str(self.config)}
        return {**os.environ, **own, "DOCKER_BUILDKIT": "0", "TERM": "xterm"}

    def __call__(
        self, *arguments: str, stdin: bytes = b"", check: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [need(self.command[0]), *self.command[1:], *arguments],
            input=stdin,
            capture_output=True,
            env=self.environment,
            cwd=cwd,
            timeout=180,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}:\n{done.stdout.decode()}{done.stderr.decode()}"
        return done

    def text(self, *arguments: str, cwd: Path | None = None) -> str:
        """Standard output of a command that must go well, without white space at its end."""
        return self(*arguments, cwd=cwd).stdout.decode().rstrip()

    def terminal(self, *arguments: str) -> Terminal:
        """A command on a terminal."""
        return Terminal([*self.command, *arguments], self.environment)

    def error(self, *arguments: str) -> str:
        """Standard error of a command that must fail."""
        done = self(*arguments, check=False)
        assert done.returncode != 0, done.stdout.decode()
        return done.stderr.decode()

    def shell(self, line: str) -> str:
        """A line for the shell, in which `docker` is this client."""
        program = " ".join(self.command)
        script = f'docker() {{ {program} "$@"; }}\n{line}'
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            capture_output=True,
            env=self.environment,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"{line}:\n{done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout.decode().rstrip()
