"""Engines to talk to, and the command line to talk with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon
from support.engines import ENGINES, Cli, engine_with_base


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, busybox_tar: Path) -> Iterator[Daemon]:
    """A running engine, lamina's or Docker's, with a busybox image called "base"."""
    with engine_with_base(request.param, busybox_tar) as daemon:
        yield daemon


@pytest.fixture
def lamina(engine: Daemon, tmp_path: Path) -> Iterator[Cli]:
    """The command line against the engine. What containers the test made are removed at its end."""
    cli = Cli(engine.host, tmp_path)
    before = set(cli.text("ps", "-aq", "--no-trunc").split())
    yield cli
    made = set(cli.text("ps", "-aq", "--no-trunc").split()) - before
    if made:
        cli("rm", "-fv", *made)
