"""`version` and `info`: only what is so."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from support.daemons import Daemon
from support.programs import CLIENT_20

pytestmark = [pytest.mark.root, pytest.mark.peer]


def test_components_are_what_they_are(daemon: Daemon) -> None:
    """No build time was invented, and the runtime has the name, version and commit that it tells of itself."""
    version = daemon.text("version", client=CLIENT_20)
    assert "2024" not in version
    runtime = daemon.text("info", "--format", "{{.DefaultRuntime}}")
    program = shutil.which(runtime, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin")
    assert program is not None
    own = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    number, commit = (own.partition(word)[2].split()[0] for word in ("version ", "commit: "))
    lines = [line.split() for line in version.partition(f" {runtime}:")[2].splitlines()]
    assert ["Version:", number] in lines
    assert ["GitCommit:", commit] in lines


def test_info_says_what_each_driver_does(daemon: Daemon) -> None:
    rows = dict(line.strip().partition(": ")[::2] for line in daemon.text("info").splitlines())
    assert f"{rows['Snapshots']} " in rows["Roles"]
    assert rows["Storage Driver"] in rows["Roles"] or rows["Storage Driver"] == "vfs"
