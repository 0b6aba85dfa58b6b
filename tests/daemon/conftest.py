"""One daemon for this folder's tests, and a plain HTTP client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.api import Http
from support.daemons import Daemon, lamina_daemon


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    with lamina_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def http_(daemon: Daemon) -> Http:
    return Http(str(daemon.socket))
