"""Networks on a machine of the test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.api.networks import NetworkOptions
from lamina.network.networks import Networks
from lamina.network.settings import NetworkSettings
from lamina.store.store import Store
from support.kernel import DEFAULT_BRIDGE


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
def settings() -> NetworkSettings:
    """Overridden where the networks are to be others."""
    return NetworkSettings(bridge=DEFAULT_BRIDGE)


@pytest.fixture
def networks(machine: None, store: Store, exec_root: Path, settings: NetworkSettings) -> Iterator[Networks]:
    networks = Networks.open(store, exec_root, settings)
    yield networks
    for sandbox in (exec_root / "netns").iterdir():
        networks.leave(sandbox.name)
    networks.close()


@pytest.fixture
def net(networks: Networks) -> Networks:
    """Networks with two user networks, `front` and `back`, and an internal one, `shut`."""
    networks.create("front")
    networks.create("back")
    networks.create("shut", NetworkOptions(internal=True))
    return networks
