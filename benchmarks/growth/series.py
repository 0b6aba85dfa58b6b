"""The work whose cost is measured as there is more and more of something."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lamina import Engine
from lamina.types import BuildRequest, Config, HostConfig

_NO_NETWORK = HostConfig(network_mode="none")
_SLEEP = Config(image="base", cmd=("sleep", "100000"))
_FOLDER = 200  # files in one folder
_AGAIN = 3  # times that something cheap is done, of which the least counts


@dataclass(frozen=True)
class Point:
    """The milliseconds that `name` takes the engine's process when there are `count` things."""

    name: str
    count: int
    processor: float


Series = Callable[[Engine, Path, int], Iterator[Point]]


def files(engine: Engine, folder: Path, most: int) -> Iterator[Point]:
    """Build a COPY of more and more files: cold, and unchanged."""
    context = folder / "files"
    (context / "files").mkdir(parents=True)
    (context / "Dockerfile").write_text("FROM base\nCOPY files /files\n")
    present = 0
    for count in _steps(100, most):
        _add_files(context / "files", present, count)
        present = count
        yield Point("build a COPY of files, cold", count, _cost(lambda: _build(engine, context, no_cache=True)))
        _build(engine, context)
        _build(engine, context)
        yield Point("build a COPY of files, cached", count, _least(lambda: _build(engine, context)))


def layers(engine: Engine, folder: Path, most: int) -> Iterator[Point]:
    """Build images of more and more layers, and start containers on them."""
    for count in [number for number in (1, 10, 50, 100, 127, 250, 500) if number <= most]:
        context = folder / f"layers{count}"
        context.mkdir()
        lines = []
        for number in range(count):
            (context / f"file{number}").write_text(f"file {number}\n")
            lines.append(f"COPY file{number} /\n")
        (context / "Dockerfile").write_text("FROM base\n" + "".join(lines))
        tag = f"layers:{count}"
        yield Point(
            "build a COPY for each layer, cold", count, _cost(partial(_build, engine, context, tag, no_cache=True))
        )
        _build(engine, context, tag)
        yield Point("build a COPY for each layer, cached", count, _least(partial(_build, engine, context, tag)))
        yield Point("run on an image of so many layers", count, _least(partial(_run, engine, tag)))


def images(engine: Engine, folder: Path, most: int) -> Iterator[Point]:
    """List more and more images, each with a layer of its own."""
    for count in _steps(10, most):
        for number in range(len(engine.images.list()), count):
            engine.images.import_tar(_small_tar(number), f"many:{number}")
        engine.images.list()
        yield Point("list images", count, _least(lambda: engine.images.list()))
        yield Point("make one image more", count, _least(lambda: engine.images.import_tar(_small_tar(time.time_ns()))))


def containers(engine: Engine, folder: Path, most: int) -> Iterator[Point]:
    """List more and more containers that were created and not started."""
    for count in _steps(10, most):
        for _ in range(len(engine.containers.list(all=True)), count):
            engine.containers.create(None, _SLEEP, _NO_NETWORK)
        engine.containers.list(all=True)
        yield Point("list containers", count, _least(lambda: engine.containers.list(all=True)))
        yield Point("create a container more", count, _least(lambda: _create(engine)))
    for container in engine.containers.list(all=True):
        engine.containers.remove(container.id)


def running(engine: Engine, folder: Path, most: int) -> Iterator[Point]:
    """Start a container while more and more run."""
    started: list[str] = []
    try:
        for count in [number for number in (1, 10, 100, 250, 500) if number <= most]:
            while len(started) < count:
                started.append(engine.containers.create(None, _SLEEP, _NO_NETWORK).id)
                engine.containers.start(started[-1])
            yield Point("run while others run", count, _least(partial(_run, engine, "base")))
    finally:
        for container in started:
            engine.containers.remove(container, force=True)


SERIES: dict[str, tuple[Series, int]] = {
    "files": (files, 100_000),
    "layers": (layers, 500),
    "images": (images, 10_000),
    "containers": (containers, 10_000),
    "running": (running, 500),
}
"""Each series with the most that it goes to."""


def _steps(first: int, most: int) -> Iterator[int]:
    while first <= most:
        yield first
        first *= 10


def _add_files(folder: Path, begin: int, end: int) -> None:
    for number in range(begin, end):
        path = folder / f"{number // _FOLDER}"
        if number % _FOLDER == 0:
            path.mkdir()
        (path / f"{number}").write_text(f"file {number}\n" * 5)


def _small_tar(number: int) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(f"file{number}"))
    stream.seek(0)
    return stream


def _build(engine: Engine, context: Path, tag: str = "built", *, no_cache: bool = False) -> None:
    engine.builds.build(context, BuildRequest(tags=(tag,), no_cache=no_cache))


def _create(engine: Engine) -> None:
    engine.containers.remove(engine.containers.create(None, _SLEEP, _NO_NETWORK).id)


def _run(engine: Engine, image: str) -> None:
    container = engine.containers.create(None, Config(image=image, cmd=("true",)), _NO_NETWORK).id
    engine.containers.start(container)
    engine.containers.wait(container)
    engine.containers.remove(container)


def _cost(work: Callable[[], object]) -> float:
    """Return the milliseconds that all threads of this process ran for a piece of work."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1000


def _least(work: Callable[[], object]) -> float:
    return min(_cost(work) for _ in range(_AGAIN))
