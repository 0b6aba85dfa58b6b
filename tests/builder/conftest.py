"""An engine's rooms for building, without containers and with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.builder.build_run import BuildRooms
from lamina.events import EventBus
from lamina.images.images import Images
from lamina.store.store import Store
from support.container_workshop import shop_with
from support.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with Store.open(tmp_path / "root") as store:
        images = Images(store, EventBus())
        rooms = BuildRooms(store, images, lambda name, platform, pull: images.get(name), tmp_path)
        yield Workshop(rooms, tmp_path)


@pytest.fixture
def shop(data_root: Path, busybox_tar: Path) -> Iterator[Workshop]:
    with shop_with(data_root, busybox_tar, "copy") as workshop:
        yield workshop
