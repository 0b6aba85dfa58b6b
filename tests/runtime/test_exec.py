"""Processes exec'd into a running task."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.errors import Conflict, InvalidInput
from lamina.runtime.runtime import Runtime
from lamina.runtime.spec import ProcessSpec, User
from lamina.runtime.task import Task

from .conftest import ENV, NAME, PROGRAMS, container, frames, received

pytestmark = pytest.mark.root

Start = Callable[..., Task]


@pytest.mark.parametrize("program", PROGRAMS)
def test_output_input_and_exit_code(program: str, data_root: Path, busybox_tree: Path) -> None:
    runtime = Runtime(data_root / "exec", program)
    task = runtime.create(NAME, container("sleep", "100"), busybox_tree)
    task.start()
    script = "cat; id -u; grep Seccomp: /proc/self/status; exit 7"
    process = task.exec("e", ProcessSpec(args=("sh", "-c", script), env=ENV, user=User(12, 12)), stdin=True)
    connection = process.attach()
    process.start()
    connection.sendall(b"in\n")
    connection.shutdown(socket.SHUT_WR)
    assert frames(received(connection)) == {1: b"in\n12\nSeccomp:\t2\n"}
    status = process.wait(10)
    assert status is not None
    assert status.code == 7
    task.kill()
    task.wait(10)
    with pytest.raises(Conflict):
        task.exec("f", ProcessSpec(args=("true",), env=ENV))
    task.delete()
    runtime.close()


def test_terminal(start: Start) -> None:
    task = start("sleep 100")
    spec = ProcessSpec(args=("sh", "-c", "read x; stty size"), env=ENV, terminal=True, console_size=(11, 22))
    process = task.exec("e", spec, stdin=True)
    connection = process.attach()
    process.start()
    connection.sendall(b"\n")
    assert received(connection) == b"\r\n11 22\r\n"


def test_command_not_found(start: Start) -> None:
    task = start("sleep 100")
    process = task.exec("e", ProcessSpec(args=("nothing",), env=ENV))
    words = "^OCI runtime exec failed: exec failed: unable to start container process: exec: "
    with pytest.raises(InvalidInput, match=words) as caught:
        process.start()
    assert caught.value.facts["exit_code"] == 127


def test_an_exec_that_never_starts_leaves_nothing(start: Start, runtime: Runtime) -> None:
    task = start("sleep 100")
    task.exec("e", ProcessSpec(args=("true",), env=ENV)).delete()
    assert not list((runtime.exec_root / task.id).glob("exec-*"))


def test_execs_end_with_their_container(start: Start) -> None:
    task = start("sleep 100")
    process = task.exec("e", ProcessSpec(args=("sleep", "100"), env=ENV))
    process.start()
    task.kill()
    status = process.wait(10)
    assert status is not None
    assert status.code == 137


def test_an_exec_may_be_dropped_after_its_container(start: Start, runtime: Runtime) -> None:
    task = start("sleep 100")
    process = task.exec("e", ProcessSpec(args=("true",), env=ENV))
    task.kill()
    task.wait(10)
    task.delete()
    assert not (runtime.exec_root / task.id).exists()
    process.delete()  # its monitor ends, which the end of this test looks at
