"""Docker's own client builds over BuildKit's protocol: its files, its secrets, its outputs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.buildkit import build_with_docker
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA
from support.processes import processes_naming
from support.programs import CLIENT_20, need
from support.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.peer]


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        command = [*LAMINA, "--host", daemon.host, "import", "-c", 'CMD ["sh"]', str(busybox_tar), "busybox"]
        subprocess.run(command, check=True, capture_output=True)
        yield daemon
        temporary = daemon.folder / "d/temporary"
        eventually(lambda: not [path for path in temporary.rglob("*") if path.is_file()])


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/ü.txt").write_text("umlaut")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "again").hardlink_to(folder / "run.sh")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "large").write_bytes(os.urandom(5_000_000))
    (folder / "secret.key").write_text("never")
    (folder / ".dockerignore").write_text("*.key\nDockerfile\n.dockerignore\n")
    (folder / "Dockerfile").write_text("FROM busybox\nCOPY . /app\n")
    return folder


def test_the_context_arrives_as_it_is(daemon: Daemon, context: Path) -> None:
    build_with_docker(daemon, "-t", "whole", "--no-cache", str(context))
    script = "cd /app && find . | sort && stat -c '%a %h %u' run.sh && readlink link && sha256sum large"
    shown = daemon.text("run", "--rm", "--network", "none", "whole", "sh", "-c", script).splitlines()

    assert shown[:7] == [".", "./again", "./large", "./link", "./run.sh", "./sub", "./sub/ü.txt"]
    assert shown[7:9] == ["755 2 0", "/etc/passwd"]
    digest = subprocess.run(["sha256sum", context / "large"], capture_output=True, check=True, text=True).stdout
    assert shown[9].split()[0] == digest.split()[0]


def test_both_protocols_build_the_same_image(daemon: Daemon, context: Path) -> None:
    build_with_docker(daemon, "-t", "by-session", "--no-cache", str(context))
    daemon.docker("build", "-t", "by-tar", "--no-cache", str(context))

    assert daemon.text("images", "-q", "by-session") == daemon.text("images", "-q", "by-tar")


def test_steps_are_named_by_their_stage_and_only_those_that_make_files_count(daemon: Daemon, context: Path) -> None:
    lines = ["ARG V=1", "FROM busybox AS made", "ENV A=1", "RUN true", "FROM busybox", "LABEL b=c", "COPY run.sh /"]
    (context / "Dockerfile").write_text("\n".join([*lines, "COPY --from=made /bin/sh /sh", 'CMD ["true"]']) + "\n")
    shown = build_with_docker(daemon, "--no-cache", str(context)).stderr.decode()
    names = [line.partition("] ")[0].rpartition("[")[2] for line in shown.splitlines() if re.match(r"#\d+ \[.*/", line)]
    assert sorted(set(names)) == ["made 1/2", "made 2/2", "stage-1 1/3", "stage-1 2/3", "stage-1 3/3"]


def test_steps_are_shown_and_cached(daemon: Daemon, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nARG WHO=nobody\nRUN echo hello $WHO; echo to-err >&2\n")
    shown = build_with_docker(daemon, "--build-arg", "WHO=ada", str(context)).stderr.decode()
    assert re.search(r"\[2/2\] RUN echo hello", shown), shown
    assert re.search(r" hello ada$", shown, re.MULTILINE), shown
    assert "to-err" in shown

    again = build_with_docker(daemon, "--build-arg", "WHO=ada", str(context)).stderr.decode()
    assert "CACHED" in again
    assert "hello ada\n" not in again.replace("RUN echo hello", "")


def test_a_step_that_fails_is_named(daemon: Daemon, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo before; exit 7\n")
    done = build_with_docker(daemon, str(context), check=False)

    assert done.returncode == 7
    assert (
        'process "/bin/sh -c echo before; exit 7" did not complete successfully: exit code: 7' in done.stderr.decode()
    )


def test_secrets_reach_the_step_that_asks(daemon: Daemon, context: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cr3t")
    (context / "Dockerfile").write_text(
        "FROM busybox\n"
        "RUN --mount=type=secret,id=token,required=true wc -c < /run/secrets/token > /size\n"
        "RUN --mount=type=secret,id=other test ! -e /run/secrets/other\n"
    )
    build_with_docker(daemon, "-t", "secret", "--secret", f"id=token,src={tmp_path}/token", str(context))
    assert daemon.text("run", "--rm", "--network", "none", "secret", "cat", "/size") == "6"

    done = build_with_docker(daemon, "--no-cache", str(context), check=False)
    assert b"secret token: not found" in done.stderr


def test_the_result_goes_to_a_folder_or_a_tar(daemon: Daemon, context: Path, tmp_path: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY sub /sub\nCOPY run.sh again /\n")
    build_with_docker(daemon, "-o", str(tmp_path / "out"), str(context))
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["again", "run.sh", "sub", "ü.txt"]
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/sub/ü.txt").read_text() == "umlaut"

    build_with_docker(daemon, "-o", f"type=tar,dest={tmp_path}/out.tar", str(context))
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert sorted(tar.getnames()) == ["again", "run.sh", "sub", "sub/ü.txt"]


def test_contexts_come_from_standard_input_too(daemon: Daemon, context: Path) -> None:
    build_with_docker(daemon, "-t", "alone", "-", stdin=b"FROM busybox\nRUN echo alone > /x\n")
    assert daemon.text("run", "--rm", "--network", "none", "alone", "cat", "/x") == "alone"

    tar = subprocess.run(["tar", "c", "-C", str(context), "."], capture_output=True, check=True).stdout
    build_with_docker(daemon, "-t", "from-tar", "-", stdin=tar)
    assert daemon.text("run", "--rm", "--network", "none", "from-tar", "cat", "/app/sub/ü.txt") == "umlaut"

    build_with_docker(daemon, "-t", "both", "-f", "-", str(context), stdin=b"FROM busybox\nCOPY sub /only\n")
    assert daemon.text("run", "--rm", "--network", "none", "both", "cat", "/only/ü.txt") == "umlaut"


def test_an_interrupt_ends_the_step(daemon: Daemon, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN sleep 98765\n")
    environment = {
        **os.environ,
        "DOCKER_BUILDKIT": "1",
        "DOCKER_HOST": daemon.host,
        "DOCKER_CONFIG": str(daemon.folder),
    }
    client = subprocess.Popen(
        [need(CLIENT_20), "build", str(context)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    eventually(lambda: processes_naming("sleep 98765"))
    client.send_signal(signal.SIGINT)
    assert client.wait(30) != 0
    eventually(lambda: not processes_naming("sleep 98765"))


def test_a_missing_dockerfile_is_named(daemon: Daemon, context: Path) -> None:
    done = build_with_docker(daemon, "-f", str(context / "Nope"), str(context), check=False)

    assert done.returncode != 0
    assert "Nope" in done.stderr.decode()
