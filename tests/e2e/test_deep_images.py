"""An image of 300 layers builds, runs, saves and loads with each snapshot driver, and lies on disk once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon
from support.flatten import read_saved

pytestmark = [pytest.mark.root, pytest.mark.peer]

LAYERS = 300
SLACK = 1.35  # indexes and block rounding beside the tars themselves
FOLDERS = ("layers", "snapshots", "containers", "ingest", "temporary")  # where bytes of layers could lie


@pytest.fixture(scope="module")
def deep_context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deep")
    lines = ["FROM base"]
    for number in range(1, LAYERS):
        (folder / f"f{number}").write_bytes(os.urandom(16 << 10))
        lines.append(f"COPY f{number} /deep/")
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(params=["erofs", "overlay", "copy"])
def daemon(request: pytest.FixtureRequest, busybox_tar: Path) -> Iterator[Daemon]:
    with lamina_daemon(driver=request.param) as daemon:
        daemon.docker("import", str(busybox_tar), "base")
        yield daemon


def bytes_on_disk(folder: Path) -> int:
    seen, total = set(), 0
    for path in folder.rglob("*"):
        found = path.lstat()
        if found.st_ino not in seen:
            seen.add(found.st_ino)
            total += found.st_blocks * 512
    return total


def files_seen(daemon: Daemon) -> int:
    return int(daemon.text("run", "--rm", "--network", "none", "deep", "sh", "-c", "cat /deep/* | wc -c"))


def test_three_hundred_layers(daemon: Daemon, deep_context: Path, request: pytest.FixtureRequest) -> None:
    daemon.docker("build", "--network", "none", "-t", "deep", str(deep_context))
    expected = (LAYERS - 1) * (16 << 10)
    assert files_seen(daemon) == expected

    archive = daemon.docker("save", "deep").stdout
    assert len(read_saved(archive).config["rootfs"]["diff_ids"]) == LAYERS
    image = daemon.text("images", "-q", "--no-trunc", "deep")
    daemon.docker("rmi", "deep")
    daemon.docker("builder", "prune", "-af", check=False)
    assert daemon.text("images", "-q", "deep") == ""
    daemon.docker("load", stdin=archive)
    assert daemon.text("images", "-q", "--no-trunc", "deep") == image
    assert files_seen(daemon) == expected


def test_each_layer_lies_on_disk_once(deep_context: Path, busybox_tar: Path) -> None:
    with lamina_daemon(driver="erofs") as daemon:
        daemon.docker("import", str(busybox_tar), "base")
        daemon.docker("build", "--network", "none", "-t", "deep", str(deep_context))
        daemon.docker("create", "--network", "none", "deep", "true")
        tars = sum(path.stat().st_size for path in (daemon.folder / "d/layers").rglob("*.tar"))
        assert tars > LAYERS * (16 << 10)
        assert sum(bytes_on_disk(daemon.folder / "d" / name) for name in FOLDERS) < tars * SLACK
        daemon.docker("rm", daemon.text("ps", "-aq"))
