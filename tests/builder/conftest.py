"""An engine's rooms without containers: enough for every build without RUN."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.builder.build_run import BuildRooms
from lamina.events import EventBus
from lamina.images.images import Images
from lamina.store.store import Store
from support.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with Store.open(tmp_path / "root") as store:
        images = Images(store, EventBus())
        rooms = BuildRooms(store, images, lambda name, platform, pull: images.get(name), tmp_path)
        yield Workshop(rooms, tmp_path)
