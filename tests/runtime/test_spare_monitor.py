"""The monitor that is forked before it is needed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.runtime.runtime import Runtime
from lamina.runtime.task import Task
from support.waiting import eventually

pytestmark = pytest.mark.root


def spares(runtime: Runtime) -> list[int]:
    """Return the children of the fork server that wait for a request: they poll nothing yet."""
    process = runtime.spawner._process
    assert process is not None
    return [child for child in children(process.pid) if not polls(child)]


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def is_there(pid: int) -> bool:
    """Return whether a process has not ended; nobody may have waited for it yet."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def polls(pid: int) -> bool:
    """Return whether a process has an epoll instance; one that has gone counts as if it had."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        return any("eventpoll" in os.readlink(link) for link in folder.iterdir())
    except FileNotFoundError:
        return True


def only_spare(runtime: Runtime) -> int:
    eventually(lambda: len(spares(runtime)) == 1)
    return spares(runtime)[0]


def test_the_next_task_takes_it_and_another_one_follows(start: Callable[..., Task], runtime: Runtime) -> None:
    start("sleep 100")
    spare = only_spare(runtime)
    task = start("sleep 100")
    assert task._monitor == spare
    assert only_spare(runtime) != spare
    assert Path(f"/proc/{spare}/comm").read_text() == "lamina-monitor\n"


def test_a_killed_one_is_replaced(start: Callable[..., Task], runtime: Runtime) -> None:
    start("true")
    os.kill(only_spare(runtime), signal.SIGKILL)
    eventually(lambda: not spares(runtime))
    status = start("exit 3").wait(10)
    assert status is not None
    assert status.code == 3
    only_spare(runtime)


def test_it_ends_with_the_engine_and_monitors_stay(start: Callable[..., Task], runtime: Runtime) -> None:
    task = start("sleep 100")
    spare = only_spare(runtime)
    runtime.spawner.close()
    assert not is_there(spare)
    assert Path(f"/proc/{task._monitor}").exists()


def test_it_ends_with_a_killed_fork_server(start: Callable[..., Task], runtime: Runtime) -> None:
    start("true")
    spare = only_spare(runtime)
    process = runtime.spawner._process
    assert process is not None
    process.kill()
    eventually(lambda: not Path(f"/proc/{spare}").exists())
