"""Tasks on real runtimes: output, input, terminals, failures, limits."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from lamina.errors import CommandFailed, Conflict, InvalidInput, Unavailable
from lamina.linux.mounts import MNT_DETACH, MS_BIND, MS_SHARED, mount, umount2
from lamina.runtime.failure import explain
from lamina.runtime.process import ExitStatus
from lamina.runtime.runtime import Runtime
from lamina.runtime.spec import BindMount, ContainerSpec, Namespaces, ProcessSpec, Resources
from lamina.runtime.task import Task

from .conftest import ENV, NAME, PROGRAMS, container, frames, received

pytestmark = pytest.mark.root

Start = Callable[..., Task]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_whole_life(program: str, data_root: Path, busybox_tree: Path) -> None:
    runtime = Runtime(data_root / "exec", program)
    ends: list[ExitStatus] = []
    told = threading.Event()

    def on_exit(status: ExitStatus) -> None:
        ends.append(status)
        told.set()

    task = runtime.create(NAME, container("sh", "-c", "echo out; echo err >&2; exit 3"), busybox_tree, None, on_exit)
    connection = task.attach()
    assert task.pid == 0
    assert task.start() > 0
    assert frames(received(connection)) == {1: b"out\n", 2: b"err\n"}
    status = task.wait(10)
    assert status is not None
    assert (status.code, status.signal, status.oom_killed) == (3, 0, False)
    assert told.wait(10)
    assert ends == [status]
    with pytest.raises(Conflict):
        task.kill()
    task.delete()
    task.delete()
    runtime.close()
    runtime.close()


def test_input_ends_with_the_client(start: Start) -> None:
    task = start("cat; echo done", stdin=True)
    connection = task.attach()
    connection.sendall(b"hello\n")
    connection.shutdown(socket.SHUT_WR)
    assert frames(received(connection)) == {1: b"hello\ndone\n"}


def test_input_stays_open_when_asked(start: Start) -> None:
    task = start("read a; read b; echo $a$b", stdin=True, stdin_once=False)
    with task.attach(stdout=False, stderr=False) as first:
        first.sendall(b"x\n")
        first.shutdown(socket.SHUT_WR)
    connection = task.attach()
    connection.sendall(b"y\n")
    assert frames(received(connection)) == {1: b"xy\n"}


def test_several_clients_and_only_what_they_want(start: Start) -> None:
    task = start("read x; echo out; echo err >&2", stdin=True)
    everything, errors = task.attach(), task.attach(stdin=False, stdout=False)
    everything.sendall(b"go\n")
    assert frames(received(errors)) == {2: b"err\n"}
    assert frames(received(everything)) == {1: b"out\n", 2: b"err\n"}


def test_a_full_input_holds_up_no_client_for_good(start: Start) -> None:
    size = 4 << 20  # bytes: more than the pipe, the monitor and the sockets hold between them
    script = f"read x; trap go=1 USR1; echo ready; until test $go; do sleep 0.01; done; head -c {size} | wc -c"
    task = start(script, stdin=True, stdin_once=False)
    first = task.attach()
    first.settimeout(20)
    first.sendall(b"\n")
    assert first.recv(100).endswith(b"ready\n")
    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(first.sendall, b"a" * size)
        assert wait([sending], 0.5).not_done  # the input is full
        with task.attach():  # another client of the input
            task.kill(signal.SIGUSR1)
            sending.result(20)
            assert frames(received(first)) == {1: f"{size}\n".encode()}


def test_much_output_is_complete(start: Start, tmp_path: Path) -> None:
    task = start("read x; head -c 5000000 /dev/zero | tr '\\0' a", stdin=True)
    connection = task.attach()
    connection.sendall(b"\n")
    assert frames(received(connection)) == {1: b"a" * 5_000_000}
    task.wait(10)
    logged = (json.loads(line)["log"] for line in (tmp_path / "0.log").read_text().splitlines())
    assert sum(map(len, logged)) == 5_000_000


def test_a_client_that_stalls_holds_nobody_up_once_it_leaves(start: Start) -> None:
    task = start("head -c 4000000 /dev/zero", stdin=False)
    task.attach().close()
    status = task.wait(20)
    assert status is not None
    assert status.code == 0


def test_terminal(start: Start) -> None:
    task = start(container("sh", "-c", "read x; stty size; tty", terminal=True), stdin=True)
    task.resize(33, 77)
    connection = task.attach()
    connection.sendall(b"\n")
    assert b"33 77\r\n/dev/pts/0\r\n" in received(connection)


def test_detach_keys_end_only_the_client(start: Start) -> None:
    task = start(container("cat", terminal=True), stdin=True)
    connection = task.attach(detach_keys=b"\x10\x11")
    connection.sendall(b"a\x10b\n\x10\x11never")
    seen = received(connection)
    assert b"never" not in seen
    assert task.pid


def test_signals(start: Start) -> None:
    task = start("sleep 100")
    task.kill(9)
    status = task.wait(10)
    assert status is not None
    assert (status.code, status.signal) == (137, 9)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("nothing",), 127, "executable file not found in $PATH"),
        (("/nothing",), 127, "no such file or directory"),
        (("/etc/passwd",), 126, "permission denied"),
        (("/etc",), 126, "permission denied"),
    ],
)
def test_commands_that_cannot_run(
    program: str, args: tuple[str], code: int, words: str, data_root: Path, busybox_tree: Path
) -> None:
    runtime = Runtime(data_root / "exec", program)
    task = runtime.create(NAME, container(*args), busybox_tree)
    connection = task.attach()
    with pytest.raises(InvalidInput) as caught:
        task.start()
    assert caught.value.facts["exit_code"] == code
    assert words in str(caught.value)
    assert received(connection) == b""
    task.delete()
    runtime.close()
    assert not (data_root / "exec" / NAME).exists()


def test_a_command_in_a_bind_mount_is_found(busybox_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/nowhere\n")
    (tmp_path / "tool").chmod(0o755)
    process, mounts = ProcessSpec(args=("/m/tool",), env=ENV), (BindMount(str(tmp_path), "/m"),)
    error = explain(process, busybox_tree, mounts, '{"msg": "first"}\n{"msg": "exec format error"}\n')
    assert isinstance(error, CommandFailed)
    assert error.facts["exit_code"] == 128
    assert "exec format error" in str(error)


def test_a_missing_runtime_is_named(data_root: Path, busybox_tree: Path) -> None:
    runtime = Runtime(data_root / "exec", "no-such-runtime")
    with pytest.raises(Unavailable, match="no-such-runtime"):
        runtime.create(NAME, container("true"), busybox_tree)
    runtime.close()


def test_security_defaults_hold_inside(start: Start, tmp_path: Path) -> None:
    for _ in range(2):  # the second start takes the filter that the first one compiled
        task = start(
            "grep -E 'Seccomp:|CapBnd' /proc/self/status; mount -t tmpfs x /tmp || echo refused; cat /proc/kcore"
        )
        assert task.wait(10)
    for name in ("0.log", "1.log"):
        text = "".join(json.loads(line)["log"] for line in (tmp_path / name).read_text().splitlines())
        assert "Seccomp:\t2" in text
        assert "00000000a80425fb" in text
        assert "refused" in text


def test_memory_limit_kills_and_is_told(start: Start) -> None:
    told = threading.Event()
    limits = Resources(memory=16 << 20, memory_swap=16 << 20)
    spec = ContainerSpec(process=container("sh", "-c", "head -c 100m /dev/zero | tail").process, resources=limits)
    task = start(spec, on_oom=told.set)
    status = task.wait(20)
    assert status is not None
    assert status.oom_killed
    assert told.wait(10)


def test_pause_stats_and_update(start: Start, runtime: Runtime) -> None:
    task = start("while :; do :; done")
    task.update(Resources(memory=64 << 20, memory_swap=64 << 20, pids_limit=40))
    stats = task.stats()
    assert (stats.memory_limit, stats.pids_limit, stats.pids) == (64 << 20, 40, 1)
    assert task.processes() == [task.pid]
    task.pause()
    before = task.stats().cpu_total
    assert task.stats().cpu_total == before
    task.resume()
    with pytest.raises(CommandFailed):
        task.update(Resources(cpuset_cpus="4000"))


def test_a_shared_pid_namespace_leaves_nobody_behind(start: Start) -> None:
    spec = ContainerSpec(
        process=container("sh", "-c", "sleep 1000 & exit 4").process, namespaces=Namespaces(pid="host")
    )
    status = start(spec).wait(10)
    assert status is not None
    assert status.code == 4


@pytest.mark.parametrize("propagation", ["rslave", "rshared"])
def test_mounts_propagate_where_asked_to(start: Start, tmp_path: Path, propagation: str) -> None:
    host = tmp_path / "host"
    (host / "below").mkdir(parents=True)
    mount(host, host, flags=MS_BIND)
    mount("none", host, flags=MS_SHARED)
    try:
        spec = ContainerSpec(
            process=ProcessSpec(args=("sh", "-c", "until test -e /host/below/f; do :; done"), env=ENV),
            mounts=(BindMount(str(host), "/host", propagation=propagation),),
        )
        task = start(spec)
        mount("tmpfs", host / "below", "tmpfs")
        (host / "below/f").touch()
        status = task.wait(20)
        assert status is not None
        assert status.code == 0
    finally:
        umount2(host / "below", MNT_DETACH)
        umount2(host, MNT_DETACH)
