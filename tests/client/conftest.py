"""Engines to talk to, and a client of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.client import Client, connect
from support.daemons import Daemon
from support.engines import ENGINES, engine_with_base


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, busybox_tar: Path) -> Iterator[Daemon]:
    """A running engine, lamina's or Docker's, with a busybox image called "base"."""
    with engine_with_base(request.param, busybox_tar) as daemon:
        yield daemon


@pytest.fixture
def client(engine: Daemon) -> Iterator[Client]:
    """A client; what containers the test made are removed at its end."""
    with connect(engine.host) as client:
        before = {container.id for container in client.containers.list(all=True)}
        yield client
        for container in client.containers.list(all=True):
            if container.id not in before:
                client.containers.remove(container.id, force=True, volumes=True)
