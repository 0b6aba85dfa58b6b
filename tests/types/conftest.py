"""An engine, and a client of a daemon, that see the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import lamina
from lamina.types import Library
from support.engines import engine_with_base

SIDES = ["engine", "client"]


@pytest.fixture(scope="module")
def libraries(busybox_tar: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Library]]:
    """An engine, and a client of a daemon, each with a busybox image called "base"."""
    root = tmp_path_factory.mktemp("engine")
    with engine_with_base("lamina", busybox_tar) as daemon, lamina.connect(daemon.host) as client:
        with lamina.Engine(root / "data", root / "exec") as engine:
            with open(busybox_tar, "rb") as tar:
                engine.images.import_tar(tar, "base")
            yield {"engine": engine, "client": client}


@pytest.fixture(params=SIDES)
def library(request: pytest.FixtureRequest, libraries: dict[str, Library]) -> Library:
    return libraries[request.param]
