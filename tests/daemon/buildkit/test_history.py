"""The history and the cache as clients see them: of builds over both protocols, and after a restart."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.buildkit import build_with_docker
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA, Cli
from support.programs import BUILDX, need

pytestmark = [pytest.mark.root, pytest.mark.peer]


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        subprocess.run([*LAMINA, "--host", daemon.host, "import", str(busybox_tar), "busybox"], check=True)
        yield daemon


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "a").write_text("1")
    (folder / "Dockerfile").write_text("FROM busybox\nCOPY a /a\nRUN echo told; echo made > /made\n")
    return folder


def buildx(daemon: Daemon, *arguments: str, code: int = 0) -> str:
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "DOCKER_CONFIG": str(daemon.folder)}
    command = [need(BUILDX), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_builds_of_both_protocols_are_told_of_after_a_restart(daemon: Daemon, context: Path, tmp_path: Path) -> None:
    cli = Cli(daemon.host, tmp_path)
    build_with_docker(daemon, "--no-cache", "-t", "session", str(context))
    daemon.docker("build", "-t", "classic", str(context))
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo last words; exit 3\n")
    build_with_docker(daemon, "-t", "failed", str(context), check=False)
    daemon.kill()
    daemon.start()

    failed, classic, session = cli.text("builder", "history", "ls", "-q").split()
    assert "exit code: 3" in cli.text("builder", "history", "logs", failed)
    assert "last words" in cli.text("builder", "history", "logs", failed)
    assert "told" in cli.text("builder", "history", "logs", session)
    assert "Step 3/3 : RUN" in cli.text("builder", "history", "logs", classic)
    shown = json.loads(cli.text("builder", "history", "inspect", session[:10]))
    assert (shown["Ref"], shown["Status"]) == (session, "completed")
    names = {event["name"] for event in json.loads(cli.text("builder", "history", "trace", session))["traceEvents"]}
    assert {"[2/3] COPY a /a", "[3/3] RUN echo told; echo made > /made"} <= names

    exported = cli.text("builder", "history", "export", session)
    assert cli.text("builder", "history", "rm", session).strip() == session
    assert session not in cli.text("builder", "history", "ls", "-q")
    cli("builder", "history", "import", stdin=exported.encode())
    assert session in cli.text("builder", "history", "ls", "-q")


def test_buildx_reads_the_history_and_the_cache(daemon: Daemon, context: Path) -> None:
    need(BUILDX)
    (context / "Dockerfile").write_text(
        "FROM busybox\nRUN --mount=type=cache,id=store,target=/c dd if=/dev/zero of=/c/f bs=1000 count=9; echo words\n"
    )
    buildx(daemon, "build", "--progress", "plain", "-t", "seen", str(context))
    daemon.kill()
    daemon.start()
    listed = json.loads(buildx(daemon, "history", "ls", "--format", "json").splitlines()[0])
    ref = listed["ref"].rpartition("/")[2]
    assert "words" in buildx(daemon, "history", "logs", "--progress", "plain", ref)
    assert "Duration:" in buildx(daemon, "history", "inspect", ref)
    buildx(daemon, "history", "rm", ref)

    used = buildx(daemon, "du", "--verbose", "--filter", "type=exec.cachemount")
    assert "store" in used
    assert "9kB" in used
    assert "9kB" in buildx(daemon, "prune", "-f", "--filter", "type=exec.cachemount")
    assert "store" not in buildx(daemon, "du", "--verbose")


def test_buildx_explains_a_build_that_failed(daemon: Daemon, context: Path, tmp_path: Path) -> None:
    need(BUILDX)
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo last words; exit 3\n")
    buildx(daemon, "build", str(context), code=1)
    daemon.kill()
    daemon.start()
    ref = json.loads(buildx(daemon, "history", "ls", "--format", "json").splitlines()[0])["ref"].rpartition("/")[2]
    inspected = buildx(daemon, "--debug", "history", "inspect", ref)
    assert ">>> RUN echo last words; exit 3" in inspected
    assert "last words" in inspected
    assert "buildkit/control.py" in inspected, inspected

    bundle = tmp_path / "build.dockerbuild"
    buildx(daemon, "history", "export", "--finalize", "-o", str(bundle), ref)
    assert b'"Name": "[2/2] RUN echo last words' in gzip.decompress(bundle.read_bytes()), "no span of the step"
