"""A workshop whose builds may RUN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from lamina.builder.build_run import BuildRooms
from lamina.builder.run.container import ContainerRunner
from lamina.events import EventBus
from lamina.images.images import Images
from lamina.runtime.runtime import Runtime
from lamina.sandbox.spec import Defaults
from lamina.snapshots.choose import open_driver
from lamina.store.store import Store
from lamina.volumes.volumes import Volumes
from support.workshop import Workshop


@contextmanager
def shop_with(
    data_root: Path, busybox_tar: Path, driver_name: str, defaults: Defaults | None = None
) -> Iterator[Workshop]:
    """A workshop with containers, and a busybox image called base. It leaves nothing behind."""
    driver = open_driver(data_root / "snapshots", driver_name)
    runtime = Runtime(data_root / "tasks")
    temporary = data_root / "temporary"
    temporary.mkdir()
    with Store.open(data_root / "store") as store:
        volumes = Volumes.open(store, data_root / "volumes", events=EventBus())
        sandboxes = SimpleNamespace(runtime=runtime, volumes=volumes)
        runner = ContainerRunner(driver, sandboxes, defaults or Defaults(), temporary, data_root / "mounts")
        images = Images(store, EventBus())
        with busybox_tar.open("rb") as tar:
            images.import_tar(tar, "base", changes=["ENV PATH=/bin:/sbin"])
        rooms = BuildRooms(store, images, lambda name, platform, pull: images.get(name), temporary, lambda: runner)
        yield Workshop(rooms, temporary)
        assert driver.keys() == []
        assert [path.name for path in temporary.iterdir()] in ([], ["context"])
    runtime.close()
    driver.close()
