"""Fixtures every room uses: real data roots, a real base tar, and a check that a test left nothing behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import base
from lamina.linux.syscalls import CLONE_NEWNET, setns, unshare
from support.processes import processes_naming
from support.programs import need

# The machine has other work, so how long an example takes says nothing.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.geteuid() != 0:
        needs_root = pytest.mark.skip(reason="needs root")
        for item in items:
            if "root" in item.keywords:
                item.add_marker(needs_root)


def _mounts_below(root: str) -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split()[4] for line in lines if line.split()[4].startswith(root)}


@pytest.fixture
def data_root(tmp_path: Path) -> Iterator[Path]:
    """A private data root; the test fails if mounts or processes that name it are left when it ends."""
    root = tmp_path / "root"
    root.mkdir()
    yield root
    assert not _mounts_below(str(root)), "mounts left behind"
    assert not processes_naming(str(root)), "processes left behind"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB (root)."""
    point = tmp_path / "small"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(point)], check=True)
    yield point
    subprocess.run(["umount", str(point)], check=True)


@pytest.fixture
def machine() -> Iterator[None]:
    """The calling thread, and those it starts, in an empty network namespace with the loopback up."""
    ip = need("ip")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    unshare(CLONE_NEWNET)
    try:
        subprocess.run([ip, "link", "set", "lo", "up"], check=True)
        yield
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)


@pytest.fixture(scope="session")
def busybox_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of a runnable busybox system, made from Debian's busybox-static."""
    target = tmp_path_factory.mktemp("base") / "busybox.tar"
    base.busybox_tar(target)
    return target


@pytest.fixture(scope="session")
def busybox_tree(busybox_tar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same system unpacked in a directory."""
    root = tmp_path_factory.mktemp("busybox")
    root.chmod(0o755)  # a root directory that any user in it may pass
    subprocess.run(["tar", "-xpf", busybox_tar, "-C", root], check=True)
    return root
