"""How the runtime program is started: by a thread of the monitor, or a fork where a mount's source may hang."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.programs import Launch, spawn

pytestmark = pytest.mark.root
NOTHING = (-1, -1, -1)
_forks: list[int] = []
os.register_at_fork(before=lambda: _forks.append(os.getpid()))


@pytest.fixture
def forks() -> Iterator[list[int]]:
    """What this process forks from here on; a program that it spawns is none."""
    _forks.clear()
    yield _forks
    _forks.clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("root/dev", "root/proc", "root/sys", "root/etc", "work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "hosts").write_text("mounted\n")
    return tmp_path / "root"


def document(root: Path, **changes: Any) -> str:
    """Write a list with one mount, and return its path."""
    source = str(root.parent / "hosts")
    bind = {"read_only": True, "read_only_below": False, "recursive": True, "options": [], "idmapped": False}
    mounts = [{"destination": "/etc/hosts", "source": source, **bind}]
    path = root.parent / "work" / protocol.MOUNTS_FILE
    path.write_text(json.dumps({"root": str(root), "mounts": mounts, "nodes": [], "foreign": False, **changes}))
    return str(path)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def state() -> tuple[object, ...]:
    """What a start must leave as it was."""
    umask = os.umask(0o22)
    os.umask(umask)
    mounts = Path("/proc/self/mountinfo").read_text()
    return os.getcwd(), umask, os.readlink("/proc/self/ns/mnt"), mounts, sorted(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("foreign", [False, True], ids=["thread", "fork"])
def test_a_program_sees_its_mounts_alone(root: Path, forks: list[int], foreign: bool) -> None:
    mounts = document(root, foreign=foreign)
    script = f"pwd; umask; cat {root}/etc/hosts; readlink /proc/self/ns/mnt"
    launch = Launch(["/bin/sh", "-c", script], str(root.parent / "work"), (), mounts)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    before = state()
    pid = spawn(launch, (-1, writing, writing))
    assert state() == before
    os.close(writing)
    with open(reading) as output:
        folder, umask, hosts, namespace = output.read().splitlines()
    assert (folder, umask, hosts) == (str(root.parent / "work"), "0022", "mounted")
    assert namespace != os.readlink("/proc/self/ns/mnt")
    assert (root / "etc/hosts").read_text() == ""
    assert ended(pid) == 0
    assert len(forks) == foreign


def test_signals_that_a_monitor_ignores_are_not_ignored_by_the_program(tmp_path: Path) -> None:
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        script = "import signal; print(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP))"
        reading, writing = os.pipe2(os.O_CLOEXEC)
        pid = spawn(Launch([sys.executable, "-I", "-c", script], str(tmp_path)), (-1, writing, -1))
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    os.close(writing)
    with open(reading) as output:
        assert output.read() == "0 0\n"
    assert ended(pid) == 0


def test_a_program_by_its_descriptor(tmp_path: Path, forks: list[int]) -> None:
    program = os.open("/bin/false", os.O_RDONLY | os.O_CLOEXEC)
    assert ended(spawn(Launch(["/bin/true"], str(tmp_path)), NOTHING, program)) == 1
    os.close(program)
    assert not forks


@pytest.mark.parametrize(("name", "code"), [("/nowhere/crun", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_executed(tmp_path: Path, name: str, code: int) -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    before = state()
    assert ended(spawn(Launch([name], str(tmp_path)), (-1, -1, writing))) == code
    assert state() == before
    os.close(writing)
    with open(reading) as errors:
        assert name in errors.read()


def test_a_mount_that_is_not_possible(root: Path) -> None:
    (root.parent / "hosts").unlink()
    before = state()
    launch = Launch(["/bin/true"], str(root.parent / "work"), (), document(root))
    assert ended(spawn(launch, NOTHING)) == 125
    assert state() == before
    refusal = json.loads((root.parent / "work" / protocol.REFUSAL_FILE).read_bytes())
    assert "cannot mount" in refusal["message"]


def test_a_list_of_mounts_that_is_missing(tmp_path: Path) -> None:
    assert ended(spawn(Launch(["/bin/true"], str(tmp_path), (), str(tmp_path / "none.json")), NOTHING)) == 127
