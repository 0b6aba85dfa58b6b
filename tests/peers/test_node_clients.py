"""Clients in Node, unmodified: testcontainers and dockerode, and the dev container command line.

`make peers` installs them. testcontainers' reaper is an image at Docker Hub, which no test may need.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon
from support.programs import BUILDX, CLIENT_NEWEST, PEERS, need, need_folder

pytestmark = [pytest.mark.root, pytest.mark.peer]

_MODULES = PEERS / "node/node_modules"
_SCRIPT = Path(__file__).with_name("node_containers.js")
_DEV_CONTAINER = {
    "build": {"dockerfile": "Dockerfile"},
    "containerEnv": {"INSIDE": "yes"},
    "remoteEnv": {"GREETING": "hello"},
    "mounts": ["source=kept,target=/kept,type=volume"],
    "postCreateCommand": "echo created > /kept/created",
}


@pytest.fixture(scope="module")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        (daemon.folder / "cli-plugins").mkdir()
        (daemon.folder / "cli-plugins/docker-buildx").symlink_to(need(BUILDX))
        daemon.docker("import", "-c", "ENV PATH=/bin:/sbin", str(busybox_tar), "base")
        yield daemon


def run(daemon: Daemon, *command: str) -> str:
    """Run a program of Node with Docker's newest client on its path, and return what it prints."""
    environment = {
        **os.environ,
        "DOCKER_HOST": daemon.host,
        "DOCKER_CONFIG": str(daemon.folder),
        "HOME": str(daemon.folder),
        "NODE_PATH": str(need_folder(_MODULES)),
        "PATH": f"{Path(need(CLIENT_NEWEST)).parent}:{os.environ['PATH']}",
        "TESTCONTAINERS_RYUK_DISABLED": "true",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + daemon.log[-2000:]
    return done.stdout


def test_testcontainers_and_dockerode_build_run_and_leave_nothing(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY page /w/built\nRUN --mount=type=cache,target=/c true\n")
    (tmp_path / "page").write_text("built\n")

    printed = run(daemon, need("node"), str(_SCRIPT), str(tmp_path))

    assert printed.splitlines()[-2:] == ["built", "done"]
    assert not daemon.text("ps", "-aq")
    assert len(daemon.text("network", "ls", "-q").split()) == 3
    assert daemon.text("images", "--format", "{{.Repository}}") == "base"


def test_a_dev_container_comes_up_and_runs_commands(daemon: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / ".devcontainer").mkdir(parents=True)
    (folder / ".devcontainer/devcontainer.json").write_text(json.dumps(_DEV_CONTAINER))
    (folder / ".devcontainer/Dockerfile").write_text("FROM base\nRUN echo built > /built\n")
    (folder / "code").write_text("code\n")
    devcontainer = [need("node"), str(_MODULES / "@devcontainers/cli/devcontainer.js")]
    place = ["--workspace-folder", str(folder)]

    result = json.loads(run(daemon, *devcontainer, "up", *place))
    assert result["outcome"] == "success"
    script = "echo $GREETING $INSIDE; cat /built /kept/created code"
    assert run(daemon, *devcontainer, "exec", *place, "sh", "-c", script).split() == [
        "hello",
        "yes",
        "built",
        "created",
        "code",
    ]
    again = json.loads(run(daemon, *devcontainer, "up", *place))
    assert again["containerId"] == result["containerId"]
    daemon.docker("rm", "-f", result["containerId"])
