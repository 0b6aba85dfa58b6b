"""Engines made of real rooms, and an image of a busybox system."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lamina.api.containers import Config, HostConfig, NetworkingConfig
from lamina.containers.catalog import Catalog
from lamina.containers.containers import Containers
from lamina.errors import LaminaError
from lamina.events import Event, EventBus
from lamina.images.images import Images
from lamina.network.networks import Networks
from lamina.network.settings import NetworkSettings
from lamina.runtime.runtime import Runtime
from lamina.snapshots.choose import open_driver
from lamina.snapshots.driver import Driver
from lamina.store.store import Store
from lamina.volumes.volumes import Volumes
from support.kernel import DEFAULT_BRIDGE
from support.processes import processes_naming
from support.waiting import eventually

IMAGE = "bb"


@dataclass
class Rooms:
    """The rooms below one data root, and the containers over them."""

    root: Path
    store: Store
    events: EventBus
    images: Images
    volumes: Volumes
    snapshots: Driver
    networks: Networks
    runtime: Runtime
    catalog: Catalog

    def __post_init__(self) -> None:
        self.containers = Containers(self, self.catalog)

    def create(self, script: str | None = None, *, name: str | None = None, host: Any = None, **config: Any) -> str:
        """A container that runs `sh -c script`, without a network unless `host` says otherwise."""
        if script is not None:
            config["cmd"] = ("sh", "-c", script)
        config.setdefault("image", IMAGE)
        networking = config.pop("networking", NetworkingConfig())
        chosen = host or HostConfig(network_mode="none")
        return self.containers.create(name, Config(**config), chosen, networking).id

    def run(self, script: str | None = None, **options: Any) -> str:
        id = self.create(script, **options)
        self.containers.start(id)
        return id

    def output(self, id: str) -> str:
        """Waits for the end, and gives all that was logged."""
        self.containers.wait(id, timeout=20)
        return "".join(record.data.decode() for record in self.containers.logs(id))

    def actions(self) -> list[str]:
        past: list[Event] = self.events.past(0, 1 << 63)
        return [event.action for event in past if event.type == "container"]


def open_rooms(root: Path, closing: ExitStack, program: str | None = None) -> Rooms:
    store = Store.open(root / "data")
    closing.callback(store.close)
    events = EventBus()
    snapshots = open_driver(root / "snapshots")
    closing.callback(snapshots.close)
    networks = Networks.open(store, root / "exec", NetworkSettings(bridge=DEFAULT_BRIDGE), events)
    closing.callback(networks.close)
    runtime = Runtime(root / "exec/tasks", program)
    closing.callback(runtime.close)
    catalog = Catalog(store, root / "containers", events)
    volumes = Volumes.open(store, root / "volumes", events=events, users=catalog.volume_users)
    images = Images(store, events, catalog.image_users)
    rooms = Rooms(root, store, events, images, volumes, snapshots, networks, runtime, catalog)
    closing.callback(rooms.containers.close)
    return rooms


@pytest.fixture
def program() -> str | None:
    """The OCI runtime program; a test that is about several overrides it."""
    return None


@pytest.fixture
def reopen(data_root: Path, busybox_tree: Path, program: str | None) -> Iterator[Callable[[], Rooms]]:
    """Opens the rooms, closing the ones opened before as an engine does that goes away; all is removed at the end."""
    current: list[tuple[Rooms, ExitStack]] = []

    def again() -> Rooms:
        while current:
            current.pop()[1].close()
        closing = ExitStack()
        rooms = open_rooms(data_root, closing, program)
        current.append((rooms, closing))
        return rooms

    first = again()
    tar = subprocess.run(["tar", "-C", str(busybox_tree), "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    (data_root / "bb.tar").write_bytes(tar)
    with (data_root / "bb.tar").open("rb") as file:
        first.images.import_tar(file, f"{IMAGE}:latest")
    yield again
    rooms, closing = current.pop()
    for container in rooms.containers.list(all=True):
        with suppress(LaminaError):
            rooms.containers.remove(container.id, force=True, volumes=True)
    closing.close()
    eventually(lambda: not processes_naming(str(data_root)))


@pytest.fixture
def rooms(reopen: Callable[[], Rooms]) -> Rooms:
    return reopen()
