"""The three clients a user may have, with one face: two of Docker's, and lamina's own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.engines import LAMINA
from support.programs import CLIENT_20, CLIENT_28, need

PATIENCE = 60.0  # seconds until what must happen has not


def _docker(path: str, identifier: str) -> object:
    return pytest.param((path,), id=identifier, marks=pytest.mark.peer)


CLIENTS = [pytest.param(tuple(LAMINA), id="lamina"), _docker(CLIENT_20, "docker20"), _docker(CLIENT_28, "docker28")]


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


class Typed:
    """A command on a terminal of its own, typed at by a test."""

    def __init__(self, client: Client, *arguments: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(client.command[0], [*client.command, *arguments], client.environment)
        self.seen = b""

    def until(self, text: bytes) -> None:
        """Read until `text` was shown."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"{text!r} was never shown: {self.seen!r}"
            data = self._read()
            assert data, f"ended before it showed {text!r}: {self.seen!r}"

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def end(self) -> int:
        """Wait for the command's end; its exit code."""
        while self._read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bytes:
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return b""  # a pty says so when its other side is closed
        self.seen += data
        return data
