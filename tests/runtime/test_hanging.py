"""A runtime program that does not come to an end, on an image that holds it up."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from lamina.errors import LaminaError, Unavailable
from lamina.runtime.runtime import Runtime
from lamina.runtime.spec import BindMount, ContainerSpec, ProcessSpec
from lamina.runtime.task import Task
from support.runtimes import unaware
from support.waiting import eventually

from .conftest import ENV, NAME

pytestmark = [pytest.mark.root, pytest.mark.peer]


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


@pytest.fixture
def hanging(fifo: str) -> ContainerSpec:
    """What runc waits for the other end of."""
    return ContainerSpec(
        process=ProcessSpec(args=("true",), env=(*ENV, "HOME=/")), mounts=(BindMount(fifo, "/etc/passwd"),)
    )


@pytest.fixture
def patient(data_root: Path, tmp_path: Path) -> Iterator[Runtime]:
    runtime = Runtime(data_root / "exec", unaware(tmp_path))
    yield runtime
    runtime.close()


@pytest.fixture
def hurried(data_root: Path, tmp_path: Path) -> Iterator[Runtime]:
    runtime = Runtime(data_root / "exec", unaware(tmp_path), start_seconds=1)
    yield runtime
    runtime.close()


def started_aside(task: Task) -> Future[LaminaError | None]:
    """Starts it in a thread of its own; gives how that fails."""
    failed: Future[LaminaError | None] = Future()

    def start() -> None:
        try:
            task.start()
            failed.set_result(None)
        except LaminaError as error:
            failed.set_result(error)

    threading.Thread(target=start, daemon=True).start()
    return failed


def _nothing_is_left(runtime: Runtime, task: Task) -> None:
    task.delete()
    assert task.processes() == []
    assert not (runtime.exec_root / "state" / task.id).exists()
    assert not [path for path in runtime.layout.everywhere(f"/lamina/{task.id}") if path.exists()]


def test_a_start_takes_no_longer_than_it_may(hurried: Runtime, hanging: ContainerSpec, busybox_tree: Path) -> None:
    task = hurried.create(NAME, hanging, busybox_tree)
    with pytest.raises(Unavailable, match="took too long"):
        task.start()
    _nothing_is_left(hurried, task)


def test_a_start_can_be_ended(patient: Runtime, hanging: ContainerSpec, busybox_tree: Path) -> None:
    task = patient.create(NAME, hanging, busybox_tree)
    assert not task.abort()
    failed = started_aside(task)
    eventually(task.processes)  # the runtime has come as far as the container
    assert task.abort()
    assert "was ended" in str(failed.result(20))
    _nothing_is_left(patient, task)


def test_a_start_that_nobody_wants_any_more_ends(patient: Runtime, hanging: ContainerSpec, busybox_tree: Path) -> None:
    """As it is when the engine died in the middle of it."""
    task = patient.create(NAME, hanging, busybox_tree)
    failed = started_aside(task)
    eventually(task.processes)
    later = patient.recover(NAME)
    _nothing_is_left(patient, later)
    assert failed.result(20) is not None


def test_an_exec_takes_no_longer_than_it_may(hurried: Runtime, tmp_path: Path, busybox_tree: Path) -> None:
    (tmp_path / "etc").mkdir()
    spec = ContainerSpec(
        process=ProcessSpec(args=("sleep", "100"), env=ENV), mounts=(BindMount(str(tmp_path / "etc"), "/etc"),)
    )
    task = hurried.create(NAME, spec, busybox_tree)
    task.start()
    os.mkfifo(tmp_path / "etc/passwd")
    process = task.exec("e", ProcessSpec(args=("true",), env=(*ENV, "HOME=/")))
    with pytest.raises(Unavailable, match="took too long"):
        process.start()
    process.delete()
    assert len(task.processes()) == 1
    task.kill()
    task.wait(10)
    _nothing_is_left(hurried, task)


def test_a_command_takes_no_longer_than_it_may(patient: Runtime) -> None:
    done = patient.spawner.run(("sh", "-c", "echo begun; sleep 100 & sleep 100"), seconds=0.5)
    assert (done.exit_code, done.stdout) == (-9, b"begun\n")
