"""What containers need of the rest of the engine."""

from __future__ import annotations

from typing import Protocol

from lamina.images.images import Images
from lamina.network.networks import Networks
from lamina.runtime.runtime import Runtime
from lamina.snapshots.driver import Driver
from lamina.store.store import Store
from lamina.volumes.volumes import Volumes


class Rooms(Protocol):
    """The rooms that containers are put together from. They may open when first asked for."""

    @property
    def store(self) -> Store: ...
    @property
    def images(self) -> Images: ...
    @property
    def volumes(self) -> Volumes: ...
    @property
    def snapshots(self) -> Driver: ...
    @property
    def networks(self) -> Networks: ...
    @property
    def runtime(self) -> Runtime: ...
