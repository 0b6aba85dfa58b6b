"""The bench with each driver, and with the default one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.snapshots.choose import NAMES
from snapshots.bench import Bench


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, data_root: Path) -> Iterator[Bench]:
    made = Bench(data_root, request.param)
    yield made
    made.clear()
