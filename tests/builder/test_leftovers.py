"""An engine that is killed in the middle of a RUN leaves a container, which the next one ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lamina.builder.run.container import sweep
from lamina.runtime.runtime import Runtime
from lamina.snapshots.choose import open_driver
from support.waiting import eventually

pytestmark = pytest.mark.root
DEADLINE = 30.0  # seconds for the engine in the child process to reach its RUN

ENGINE = """
import sys
from pathlib import Path
from types import SimpleNamespace
from lamina.builder.builder import build
from lamina.builder.context.source import from_dockerfile
from lamina.api.build import BuildRequest
from lamina.builder.run.container import ContainerRunner
from lamina.builder.build_run import BuildRooms
from lamina.events import EventBus
from lamina.formats.reference import Reference
from lamina.images.images import Images
from lamina.progress import Output
from lamina.runtime.runtime import Runtime
from lamina.snapshots.choose import open_driver
from lamina.sandbox.spec import Defaults
from lamina.store.store import Store
from lamina.volumes.volumes import Volumes

root, base = Path(sys.argv[1]), Path(sys.argv[2])
store = Store.open(root / "store")
images = Images(store, EventBus())
with base.open("rb") as tar:
    images.import_tar(tar, "base", changes=["ENV PATH=/bin:/sbin"])
temporary = root / "temporary"
temporary.mkdir()
volumes = Volumes.open(store, root / "volumes", events=EventBus())
sandboxes = SimpleNamespace(runtime=Runtime(root / "tasks"), volumes=volumes)
runner = ContainerRunner(open_driver(root / "snapshots"), sandboxes, Defaults(), temporary, root / "mounts")
rooms = BuildRooms(store, images, lambda name, platform, pull: images.get(name), temporary, lambda: runner)
say = lambda message: print(message.text, end="", flush=True) if isinstance(message, Output) else None
with from_dockerfile(b"FROM base\\nRUN echo reached; sleep 1000\\nRUN true\\n") as context:
    build(context, BuildRequest(network="none"), rooms, say)
"""


@pytest.fixture
def killed_engine(data_root: Path, busybox_tar: Path) -> Path:
    """The data root of an engine that was killed while its RUN slept, and the task of the next one waited."""
    command = [sys.executable, "-c", ENGINE, str(data_root), str(busybox_tar)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = time.monotonic()
        for line in process.stdout:
            if line.startswith("reached"):
                break
            assert time.monotonic() - started < DEADLINE
        eventually(lambda: len(list((data_root / "tasks").glob("*/monitor.sock"))) == 2)
        process.kill()
    return data_root


def test_the_next_start_ends_it(killed_engine: Path) -> None:
    temporary = killed_engine / "temporary"
    assert [path.name[:6] for path in temporary.iterdir()] == ["build-", "build-"]
    runtime = Runtime(killed_engine / "tasks")
    sweep(runtime, temporary)
    assert list(temporary.iterdir()) == []
    assert list((killed_engine / "tasks").glob("*/monitor.sock")) == []
    driver = open_driver(killed_engine / "snapshots")
    driver.sweep([])
    assert driver.keys() == []
    sweep(runtime, temporary)
    driver.close()
    runtime.close()
