"""A machine of one's own for each test: a fresh network namespace in which the test's thread lives."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.linux.namespaces import CLONE_NEWNET, setns, unshare
from lamina.network.networks import Networks
from lamina.store.store import Store
from support.programs import need


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


@pytest.fixture
def store(data_root: Path) -> Iterator[Store]:
    with Store.open(data_root) as store:
        yield store


@pytest.fixture
def exec_root(tmp_path: Path) -> Iterator[Path]:
    """Unmounts what a failed test leaves behind."""
    root = tmp_path / "exec"
    yield root
    for pinned in (root / "netns").glob("*"):
        subprocess.run(["umount", str(pinned)], check=False, capture_output=True)


@pytest.fixture
def networks(machine: None, store: Store, exec_root: Path) -> Iterator[Networks]:
    networks = Networks.open(store, exec_root)
    yield networks
    for sandbox in (exec_root / "netns").iterdir():
        networks.leave(sandbox.name)
    networks.close()
