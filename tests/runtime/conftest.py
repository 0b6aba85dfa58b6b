"""Real containers from a busybox tree, on every runtime program that is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from lamina.errors import Conflict
from lamina.formats.frames import Deframer
from lamina.runtime.monitor.protocol import LogSpec
from lamina.runtime.runtime import Runtime
from lamina.runtime.spec import ContainerSpec, ProcessSpec
from lamina.runtime.task import Task
from support.processes import processes_naming
from support.waiting import eventually

PROGRAMS = [name for name in ("crun", "runc") if shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin")]
ENV = ("PATH=/bin",)
NAME = f"test-{os.getpid()}"  # names are cgroups', too, which all engines of a machine share


def container(*args: str, **process: Any) -> ContainerSpec:
    return ContainerSpec(process=ProcessSpec(args=args, env=ENV, **process))


def received(connection: socket) -> bytes:
    """All that comes until the other side ends."""
    with connection:
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def frames(raw: bytes) -> dict[int, bytes]:
    """Output by stream number, from Docker's frames."""
    found: dict[int, bytes] = {}
    for stream, data in Deframer().feed(raw):
        found[stream] = found.get(stream, b"") + data
    return found


@pytest.fixture
def data_root(data_root: Path) -> Iterator[Path]:
    """The data root of every room, checked when monitors that end by themselves have had the time to."""
    yield data_root
    eventually(lambda: not processes_naming(str(data_root)))


@pytest.fixture
def runtime(data_root: Path) -> Iterator[Runtime]:
    with_root = Runtime(data_root / "exec")
    yield with_root
    with_root.close()


@pytest.fixture
def start(runtime: Runtime, busybox_tree: Path, tmp_path: Path) -> Iterator[Callable[..., Task]]:
    """Starts `sh -c script` (or a given spec) and removes the task when the test ends."""
    made: list[Task] = []

    def begin(script: str | ContainerSpec, **options: Any) -> Task:
        spec = container("sh", "-c", script) if isinstance(script, str) else script
        log = LogSpec(str(tmp_path / f"{len(made)}.log"))
        task = runtime.create(f"{NAME}-{len(made)}", spec, busybox_tree, log, **options)
        made.append(task)
        task.start()
        return task

    yield begin
    for task in made:
        with suppress(Conflict):  # ended by itself
            task.kill(9)
        task.wait(10)
        task.delete()
