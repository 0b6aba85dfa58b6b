"""act, unmodified, runs a workflow: a job in a container, with a service that it finds by name, and one after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.daemons import lamina_daemon

pytestmark = [pytest.mark.root, pytest.mark.peer]

_ACT = str(Path(sys.executable).with_name("act"))
_WORKFLOW = """\
on: push
jobs:
  first:
    runs-on: ubuntu-latest
    container: base
    services:
      server:
        image: server
    env: {GREETING: hello}
    steps:
      - run: echo "$GREETING from $(hostname)" > out
      - id: read
        run: echo "text=$(cat out)" >> "$GITHUB_OUTPUT"
      - run: test -n "${{ steps.read.outputs.text }}"
      - run: |
          address=$(nslookup server | awk '/^Name/ {getline; print $2}')
          wget -qO- "http://$address/"
  second:
    needs: first
    runs-on: ubuntu-latest
    container: base
    steps:
      - run: echo "six times seven is $((6 * 7))"
"""
_SERVER = """\
FROM base
RUN mkdir /w && echo served > /w/index.html
CMD ["httpd", "-f", "-p", "80", "-h", "/w"]
"""


def test_act_runs_a_workflow_and_leaves_nothing(busybox_tar: Path, tmp_path: Path) -> None:
    workflows = tmp_path / "project/.github/workflows"
    workflows.mkdir(parents=True)
    (workflows / "ci.yml").write_text(_WORKFLOW)
    for command in (["init"], ["add", "-A"], ["-c", "user.name=n", "-c", "user.email=e@x", "commit", "-m", "all"]):
        subprocess.run(["git", "-C", str(tmp_path / "project"), *command], check=True, capture_output=True)
    with lamina_daemon() as daemon:
        daemon.docker("import", "-c", "ENV PATH=/bin:/sbin", str(busybox_tar), "base")
        daemon.docker("build", "-t", "server", "-", stdin=_SERVER.encode())
        local = ["--cache-server-addr", "127.0.0.1", "--artifact-server-addr", "127.0.0.1"]
        flags = ["-P", "ubuntu-latest=base", "--pull=false", "--rm", "--container-daemon-socket", "-", *local]
        environment = {**os.environ, "DOCKER_HOST": daemon.host, "HOME": str(tmp_path)}
        done = subprocess.run(
            [_ACT, *flags, "push"],
            cwd=tmp_path / "project",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr + daemon.log[-2000:]
        assert "| served\n" in done.stdout
        assert "| six times seven is 42\n" in done.stdout
        assert not daemon.text("ps", "-aq")
        assert len(daemon.text("network", "ls", "-q").split()) == 3
