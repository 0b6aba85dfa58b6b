"""The engines that tests of the API's client side run against, and lamina's command line as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

import pytest

from lamina.cli.main import main
from support.daemons import Daemon, dockerd, lamina_daemon
from support.terminal import Terminal

ENGINES = [
    pytest.param("lamina", marks=pytest.mark.root),
    pytest.param(
        "dockerd",
        marks=[pytest.mark.root, pytest.mark.peer],
    ),
]
PATIENCE = 120  # seconds one command may take
LAMINA = [sys.executable, "-m", "lamina"]


@dataclass(frozen=True)
class Cli:
    """lamina's command line against one daemon. Each command is a process of its own, forked from this one.

    A fork saves what the interpreter takes to start; `tests/cli/test_startup.py` starts real ones.
    """

    host: str
    config: Path

    def __call__(
        self, *arguments: str, stdin: bytes = b"", check: bool = True, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(stdin)
            given.seek(0)
            child = os.fork()
            if child == 0:
                self._become(arguments, (given.fileno(), out.fileno(), err.fileno()), cwd, environment)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            for file in (out, err):
                file.seek(0)
            done = subprocess.CompletedProcess(arguments, code, out.read(), err.read())
        assert not check or done.returncode == 0, (
            f"{arguments}:\n{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}"
        )
        return done

    def _become(
        self, arguments: tuple[str, ...], files: tuple[int, ...], cwd: Path | None, environment: dict[str, str]
    ) -> NoReturn:
        code = 70
        try:
            signal.alarm(PATIENCE)
            for target, source in enumerate(files):
                os.dup2(source, target)
            sys.stdin, sys.stdout, sys.stderr = (
                os.fdopen(0, closefd=False),
                os.fdopen(1, "w", closefd=False),
                os.fdopen(2, "w", closefd=False),
            )
            for name in [name for name in os.environ if name.startswith(("DOCKER_", "LAMINA_"))]:
                del os.environ[name]
            os.environ.update({"LAMINA_HOST": self.host, "DOCKER_CONFIG": str(self.config), **environment})
            os.chdir(cwd or os.getcwd())
            sys.argv = ["lamina", *arguments]
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def terminal(self, *arguments: str) -> Terminal:
        """A command of a process of its own on a terminal."""
        own = {"LAMINA_HOST": self.host, "DOCKER_CONFIG": str(self.config), "TERM": "xterm"}
        return Terminal([*LAMINA, *arguments], {**os.environ, **own})

    def text(self, *arguments: str, cwd: Path | None = None) -> str:
        """Standard output of a command that must go well."""
        return self(*arguments, cwd=cwd).stdout.decode()

    def fails(self, *arguments: str, code: int) -> str:
        """Standard error of a command that must end with `code`, which must not be a traceback."""
        done = self(*arguments, check=False)
        error = done.stderr.decode()
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout.decode()}{error}"
        assert "Traceback" not in error
        return error


@contextmanager
def engine_with_base(kind: str, base: Path) -> Iterator[Daemon]:
    """A daemon of one kind that has the tar `base` as its image "base"."""
    with dockerd() if kind == "dockerd" else lamina_daemon() as daemon:
        Cli(daemon.host, daemon.folder)("import", "-c", 'CMD ["sh"]', str(base), "base")
        yield daemon
