"""What people are told who make a mistake, look for what is elsewhere, or close the pipe."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lamina.cli.main import run
from support.engines import LAMINA, Cli

PATIENCE = 30.0  # seconds until something that must happen has not


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rnu"], "Did you mean run?"),
        (["imges"], "Did you mean images?"),
        (["container", "lst"], "Did you mean ls?"),
        (["compose", "up"], "docker-compose"),
        (["buildx", "build", "."], "Use `lamina build`"),
        (["swarm", "init"], "lamina runs on one machine"),
        (["zzzzz"], "See 'lamina --help'"),
    ],
)
def test_a_command_that_is_none(capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    assert run(words) == 1
    error = capsys.readouterr().err
    assert "No such command" in error
    assert told in error


@pytest.mark.root
def test_a_directory_that_was_removed(lamina: Cli, tmp_path: Path) -> None:
    environment = {**os.environ, "LAMINA_HOST": lamina.host, "DOCKER_CONFIG": str(lamina.config)}
    for command in ("build .", "save -o out.tar base", "run -v ./x:/x base"):
        gone = tmp_path / "gone"
        gone.mkdir()
        script = f'rmdir "$PWD"; exec {" ".join(LAMINA)} {command}'
        done = subprocess.run(["sh", "-c", script], cwd=gone, env=environment, capture_output=True, check=False)
        assert "the current directory does not exist any more" in done.stderr.decode()
        assert done.returncode == 1


@pytest.mark.root
@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        (("run", "--rm", "--network", "none", "base", "yes"), 1, b"lamina: write /dev/stdout: broken pipe\n"),
        (("images",), 141, b""),
        (("inspect", "base"), 141, b""),
        (("save", "base"), 141, b""),
    ],
)
def test_a_pipe_that_nobody_reads(lamina: Cli, command: tuple[str, ...], code: int, error: bytes) -> None:
    """What a container says is lost, so it is told; other commands leave as SIGPIPE would have them, as docker's do."""
    environment = {**os.environ, "LAMINA_HOST": lamina.host, "DOCKER_CONFIG": str(lamina.config)}
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen([*LAMINA, *command], stdout=writer, stderr=subprocess.PIPE, env=environment)
    os.close(writer)
    assert process.communicate(timeout=PATIENCE)[1] == error
    assert process.returncode == code


@pytest.mark.root
def test_an_image_that_is_not_here(lamina: Cli) -> None:
    lamina("tag", "base", "localhost:1/server:v1")
    for name in ("localhost:1/server:v2", "localhost:1/sever:v1"):
        error = lamina.fails("run", "--rm", name, "true", code=125)
        assert f"Unable to find image '{name}' locally" in error
        assert "Did you mean localhost:1/server:v1?" in error
    other = lamina.fails("run", "--rm", "--platform", "linux/riscv64", "localhost:1/server:v1", code=125)
    assert "locally for linux/riscv64: the one that is here is for linux/" in other


@pytest.mark.root
def test_a_quiet_build_that_fails_shows_why(lamina: Cli, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base\nRUN echo the reason; exit 3\n")
    done = lamina("build", "-q", str(tmp_path), check=False)
    assert done.returncode == 3
    assert done.stdout == b""
    assert b"\nthe reason\n" in done.stderr
    assert b"returned a non-zero code: 3" in done.stderr


@pytest.mark.root
def test_what_info_tells_of_places(lamina: Cli) -> None:
    lines = lamina.text("info").splitlines()
    assert f" Endpoint:   {lamina.host}" in lines
    assert f" Config:     {lamina.config}/config.json" in lines
    assert any(line.startswith(" Docker Root Dir: /") for line in lines)
