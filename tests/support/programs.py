"""Programs of others that tests run: where one lacks, the test that needs it is skipped by that name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CLIENT_20 = "/usr/bin/docker"
PEERS = Path(__file__).parents[2] / ".peers"
CLIENT_NEWEST = str(PEERS / "newest/usr/bin/docker")
BUILDX = str(PEERS / "newest/usr/libexec/docker/cli-plugins/docker-buildx")
DOCKERD_NEWEST = str(PEERS / "newest/usr/sbin/dockerd")
COMPOSE_NEWEST = str(PEERS / "newest/usr/libexec/docker/cli-plugins/docker-compose")

_PATH = ":".join(
    [os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
)


def need(program: str) -> str:
    """The path of `program`, a name or a path. Skips the test that asks where it is not installed.

    With CI=true in the environment the test fails instead: there `make peers` has installed everything.
    """
    path = shutil.which(program, path=_PATH)
    if path is not None:
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{program} is not installed; `make peers` should have", pytrace=False)
    pytest.skip(f"{program} is not installed")


def need_folder(folder: Path) -> Path:
    """`folder`, which `make peers` makes. Skips the test that asks where it is not there; fails it with CI=true."""
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{folder} is not there; `make peers` should have made it", pytrace=False)
        pytest.skip(f"{folder} is not there")
    return folder
