"""Containers outlive the engine, and nothing is left of those whose monitor was killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from lamina.errors import NotFound
from lamina.runtime.monitor import protocol
from lamina.runtime.process import ExitStatus
from lamina.runtime.runtime import Runtime

from .conftest import NAME, container, received

pytestmark = pytest.mark.root

ENGINE = """
import os, sys
from pathlib import Path
from lamina.runtime.monitor.protocol import LogSpec
from lamina.runtime.runtime import Runtime
from lamina.runtime.spec import ContainerSpec, ProcessSpec
root, tree, script, name = sys.argv[1:]
runtime = Runtime(Path(root))
process = ProcessSpec(args=("sh", "-c", script), env=("PATH=/bin",))
task = runtime.create(name, ContainerSpec(process=process), Path(tree), LogSpec(root + "/log"), stdin=True)
print(task.start(), flush=True)
os.kill(os.getpid(), 9)
"""


def started_by_another(root: Path, tree: Path, script: str) -> int:
    """Starts a task in an engine process that is then killed; gives the task's pid."""
    engine = subprocess.run(
        [sys.executable, "-c", ENGINE, str(root), str(tree), script, NAME], stdout=subprocess.PIPE, check=False
    )
    assert engine.returncode == -signal.SIGKILL
    return int(engine.stdout)


def test_a_running_task_is_found_again(data_root: Path, busybox_tree: Path) -> None:
    root = data_root / "exec"
    pid = started_by_another(root, busybox_tree, "read x; echo $x; exit 5")
    runtime = Runtime(root)
    told = threading.Event()
    task = runtime.recover(NAME, lambda status: told.set())
    assert task.pid == pid
    connection = task.attach()
    connection.sendall(b"hi\n")
    assert b"hi\n" in received(connection)
    status = task.wait(10)
    assert status is not None
    assert status.code == 5
    assert told.wait(10)
    task.delete()
    runtime.close()


def test_nobody_waits_for_a_task_of_a_closed_runtime(data_root: Path, busybox_tree: Path) -> None:
    runtime = Runtime(data_root / "exec")
    task = runtime.create(NAME, container("sleep", "1000"), busybox_tree)
    task.start()
    with ThreadPoolExecutor(1) as thread:
        end = thread.submit(task.wait)
        runtime.close()
        assert end.result(10) is None
    runtime = Runtime(data_root / "exec")
    task = runtime.recover(NAME)
    task.kill()
    status = task.wait(10)
    assert status is not None
    assert status.signal == signal.SIGKILL
    task.delete()
    runtime.close()


def test_a_task_that_ended_meanwhile(data_root: Path, busybox_tree: Path) -> None:
    root = data_root / "exec"
    started_by_another(root, busybox_tree, "echo bye; exit 6")
    runtime = Runtime(root)
    task = runtime.recover(NAME)
    status = task.wait(10)
    assert status is not None
    assert (status.code, status.lost) == (6, False)
    task.delete()
    runtime.close()


def monitor_of(pid: int) -> int:
    """The process id of a task's monitor: its parent, as soon as the runtime program has let go of it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        with suppress(OSError):  # the runtime program has gone between the two looks
            if Path(f"/proc/{parent}/comm").read_text() == "lamina-monitor\n":
                return int(parent)
    raise AssertionError("no monitor")


def test_a_killed_monitor_leaves_no_ghost(runtime: Runtime, busybox_tree: Path) -> None:
    ends: list[ExitStatus] = []
    told = threading.Event()

    def on_exit(status: ExitStatus) -> None:
        ends.append(status)
        told.set()

    task = runtime.create(NAME, container("sleep", "1000"), busybox_tree, None, on_exit)
    pid = task.start()
    held = os.pidfd_open(pid)
    os.kill(monitor_of(pid), signal.SIGKILL)
    assert told.wait(15)
    assert (ends[0].lost, ends[0].code) == (True, 137)
    assert task.pid == 0
    assert select.select([held], [], [], 10)[0], "the container's process still runs"
    os.close(held)
    task.delete()
    again = runtime.create(NAME, container("true"), busybox_tree)
    again.start()
    assert again.wait(10)
    again.delete()


def test_a_monitor_killed_while_no_engine_looked(data_root: Path, busybox_tree: Path) -> None:
    root = data_root / "exec"
    pid = started_by_another(root, busybox_tree, "sleep 1000")
    os.kill(monitor_of(pid), signal.SIGKILL)
    runtime = Runtime(root)
    task = runtime.recover(NAME)
    assert task.status is not None
    assert task.status.lost
    task.delete()
    runtime.close()


def test_never_started_and_unknown(data_root: Path, busybox_tree: Path) -> None:
    first = Runtime(data_root / "exec")
    first.create(NAME, container("true"), busybox_tree)
    first.close()
    second = Runtime(data_root / "exec")
    task = second.recover(NAME)
    assert (task.pid, task.status) == (0, None)
    task.delete()
    with pytest.raises(NotFound):
        second.recover(NAME)
    second.close()


@pytest.mark.parametrize("milliseconds", [0, 5, 20, 60])
def test_a_start_that_an_engine_did_not_live_to_see(runtime: Runtime, busybox_tree: Path, milliseconds: int) -> None:
    """The engine asked its monitor for a start and died: who deletes the task then leaves nothing that runs."""
    runtime.create(NAME, container("sleep", "1000"), busybox_tree)
    directory = runtime.exec_root / NAME
    with protocol.connect(str(directory)) as dying:
        dying.sendall(protocol.encode({"op": "start"}))
        threading.Event().wait(milliseconds / 1000)  # how far the start has come
    task = runtime.recover(NAME)
    if task.pid:
        task.kill()
        assert task.wait(10)
    task.delete()
    assert list(Path("/sys/fs/cgroup").glob(f"*/lamina/{NAME}")) == []
    assert not directory.exists()


def test_of_a_task_that_was_half_made_or_half_deleted_nothing_stays(runtime: Runtime) -> None:
    (runtime.exec_root / NAME / "execs").mkdir(parents=True)
    with pytest.raises(NotFound):
        runtime.recover(NAME)
    assert not (runtime.exec_root / NAME).exists()


def test_a_killed_spawner_is_replaced(runtime: Runtime, busybox_tree: Path) -> None:
    runtime.spawner.warm()
    process = runtime.spawner._process
    assert process is not None
    process.kill()
    process.wait()
    task = runtime.create(NAME, container("true"), busybox_tree)
    task.start()
    assert task.wait(10)
    task.delete()
