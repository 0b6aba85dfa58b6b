"""Long verbs that are cancelled in the middle: they end at once, and leave nothing."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, cast

import pytest

from lamina.api.build import BuildRequest
from lamina.api.containers import Config, HostConfig, NetworkingConfig
from lamina.cancellation import Cancellation
from lamina.engine import Engine
from lamina.errors import Cancelled
from lamina.progress import Message, Output
from support.stalling import StallingRegistry, stalling_registry
from support.tars import tar
from support.waiting import eventually

SOON = 10  # seconds; waits for registries and commands here would take minutes


@pytest.fixture
def engine(data_root: Path) -> Iterator[Engine]:
    with Engine(data_root / "data", data_root / "run") as engine:
        yield engine


@pytest.fixture
def registry() -> Iterator[StallingRegistry]:
    with stalling_registry() as registry:
        yield registry


def cancelled_when(ready: threading.Event, work: Callable[[Cancellation], object]) -> None:
    """Run `work` in a thread and cancel it once `ready` is set: it must raise Cancelled soon."""
    token = Cancellation()
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(work, token)
        came_so_far = ready.wait(30)
        token.cancel("the caller went away")
        assert came_so_far
        with pytest.raises(Cancelled, match="the caller went away"):
            result.result(SOON)


def content(engine: Engine) -> list[str]:
    return [str(digest) for digest in (engine.root / "layers").rglob("*.tar")]


def random_tar(size: int) -> bytes:
    return tar({"data": os.urandom(size)})


def test_a_pull_in_mid_blob(engine: Engine, registry: StallingRegistry) -> None:
    reference = f"{registry.address}/a"
    cancelled_when(registry.stalled, lambda token: engine.registries.pull(reference, cancellation=token))
    assert registry.left.wait(SOON)
    assert engine.images.list(all=True) == []
    assert content(engine) == []
    assert list(engine.store.verify()) == []


def test_a_push_in_mid_blob(engine: Engine, registry: StallingRegistry) -> None:
    reference = f"{registry.address}/a:1"
    engine.images.import_tar(io.BytesIO(random_tar(48 << 20)), reference)
    digests = engine.images.get(reference).digests
    before = sorted(path.name for path in engine.root.rglob("*") if path.is_file())
    cancelled_when(registry.stalled, lambda token: engine.registries.push(reference, cancellation=token))
    assert sorted(path.name for path in engine.root.rglob("*") if path.is_file()) == before
    assert engine.images.get(reference).digests == digests


def test_ctrl_c_in_the_program_itself_ends_a_pull(engine: Engine, registry: StallingRegistry) -> None:
    def interrupt() -> None:
        registry.stalled.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=interrupt)
    pressing.start()
    with pytest.raises(KeyboardInterrupt):
        engine.registries.pull(f"{registry.address}/a")
    pressing.join()
    assert registry.left.wait(SOON)


class Halting:
    """A stream that stops in the middle until somebody cancels."""

    def __init__(self, data: bytes, token: Cancellation) -> None:
        self._data = io.BytesIO(data)
        self._left = len(data) // 2
        self._token = token

    def read(self, size: int = -1, /) -> bytes:
        if self._left <= 0:
            self._token.cancel("the caller went away")
        piece = self._data.read(min(size, 1 << 16))
        self._left -= len(piece)
        return piece


VERBS: dict[str, Callable[[Engine, Any, Cancellation], object]] = {
    "load": lambda engine, stream, token: engine.images.load(stream, cancellation=token),
    "import": lambda engine, stream, token: engine.images.import_tar(stream, cancellation=token),
}


@pytest.mark.parametrize("verb", VERBS)
def test_reading_an_archive(engine: Engine, verb: str) -> None:
    token = Cancellation()
    data = random_tar(8 << 20)
    if verb == "load":
        data = tar({"layer.tar": data, "manifest.json": b"[]"})
    with pytest.raises(Cancelled, match="the caller went away"):
        VERBS[verb](engine, Halting(data, token), token)
    assert engine.images.list(all=True) == []
    assert content(engine) == []


def test_saving(engine: Engine) -> None:
    token = Cancellation()
    engine.images.import_tar(io.BytesIO(random_tar(8 << 20)), "a")
    written: list[int] = []

    class Sink:
        def write(self, data: bytes, /) -> int:
            written.append(len(data))
            token.cancel()
            return len(data)

    with pytest.raises(Cancelled):
        engine.images.save(["a"], cast(IO[bytes], Sink()), cancellation=token)
    assert len(written) == 1


@pytest.mark.parametrize("room", ["images", "volumes"])
def test_a_prune_that_is_cancelled_removes_nothing_more(engine: Engine, room: str) -> None:
    token = Cancellation()
    token.cancel()
    engine.images.import_tar(io.BytesIO(random_tar(1)))
    engine.volumes.create("kept")
    with pytest.raises(Cancelled):
        getattr(engine, room).prune(cancellation=token)
    assert len(engine.images.list(all=True)) == 1
    assert len(engine.volumes.list()) == 1


@pytest.fixture
def runnable(engine: Engine, busybox_tar: Path) -> Engine:
    with busybox_tar.open("rb") as file:
        engine.images.import_tar(file, "base")
    return engine


@pytest.mark.root
def test_a_silent_run_of_a_build(runnable: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM base\nRUN echo begun && sleep 1000\n")
    begun = threading.Event()

    def report(message: Message) -> None:
        if isinstance(message, Output) and message.text == "begun\n":
            begun.set()

    cancelled_when(
        begun,
        lambda token: runnable.builds.build(folder, BuildRequest(network="none"), report=report, cancellation=token),
    )
    assert len(runnable.images.list(all=True)) == 1
    assert list((runnable.root / "temporary").iterdir()) == []


def started(engine: Engine, *command: str) -> str:
    created = engine.containers.create(
        "", Config(image="base", cmd=command), HostConfig(network_mode="none"), NetworkingConfig()
    )
    engine.containers.start(created.id)
    return created.id


@pytest.mark.root
def test_the_verbs_of_a_container(runnable: Engine) -> None:
    containers = runnable.containers
    id = started(runnable, "sh", "-c", "echo line; head -c 8000000 /dev/urandom > /big; echo ready; sleep 1000")
    try:
        eventually(lambda: any(record.data == b"ready\n" for record in containers.logs(id)))
        token = Cancellation()
        waiting = containers.waiting(id, cancellation=token)
        lines = containers.logs(id, follow=True, cancellation=token)
        assert next(lines).data == b"line\n"
        token.cancel()
        with pytest.raises(Cancelled):
            waiting.result(10)
        assert [record.data for record in lines] in ([], [b"ready\n"])
        for verb in (
            lambda: containers.export(id, io.BytesIO(), cancellation=token),
            lambda: containers.get_archive(id, "/big", io.BytesIO(), cancellation=token),
            lambda: containers.put_archive(id, "/tmp", io.BytesIO(tar({"a": b""})), cancellation=token),
            lambda: containers.commit(id, cancellation=token),
            lambda: containers.prune(cancellation=token),
        ):
            with pytest.raises(Cancelled):
                verb()
        assert containers.get(id).state.status == "running"
        assert len(runnable.images.list(all=True)) == 1
    finally:
        containers.remove(id, force=True)
