"""Processes that write without end, multiply, stop, or turn against their monitor."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import Daemon, lamina_daemon
from support.engines import Cli
from support.hostile import OFF, Target

pytestmark = pytest.mark.root


def _monitors(target: Target) -> dict[int, int]:
    """The most memory that each container's monitor has had, in KiB."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            rows = dict(line.split(":", 1) for line in status.read_text().splitlines())
            named = str(target.daemon.folder / "e").encode() in (status.parent / "cmdline").read_bytes()
            if named and rows["Name"].strip() == "lamina-monitor":
                found[int(status.parent.name)] = int(rows["VmHWM"].split()[0])
        except (OSError, KeyError):
            continue
    return found


def test_a_line_without_an_end_needs_no_memory(target: Target) -> None:
    with target.running(
        "dd if=/dev/zero bs=1M count=48 2>/dev/null | tr '\\0' x; echo end; touch /end; exec sleep 300"
    ) as id:
        target.cli("exec", id, "sh", "-c", "until test -e /end; do :; done")
        assert max(_monitors(target).values()) < 64 << 10
        assert target.client("logs", id).stdout.count(b"x") > 40 << 20
    assert target.daemon.answers()


def test_a_client_that_does_not_read_needs_no_memory(target: Target) -> None:
    with target.running("exec sleep 300") as id:
        command = [*target.client.command, "exec", id, "sh", "-c", "yes & yes & yes & exec sleep 1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=target.client.environment) as client:
            assert client.stdout is not None
            assert client.stdout.read(1) == b"y"
            target.cli("exec", id, "sh", "-c", "while pgrep -x sleep | grep -qv '^1$'; do :; done")
            assert max(_monitors(target).values()) < 64 << 10
            started = time.monotonic()
            while client.stdout.read(1 << 20):
                assert time.monotonic() - started < 30, "what was left behind keeps the exec open"
        assert client.returncode == 0


def test_a_paused_container_takes_no_exec(target: Target) -> None:
    with target.running("exec sleep 300") as id:
        early = target.ask("POST", f"/containers/{id}/exec", {"Cmd": ["true"]}).json["Id"]
        target.cli("pause", id)
        late = target.ask("POST", f"/containers/{id}/exec", {"Cmd": ["true"]})
        begun = target.ask("POST", f"/exec/{early}/start", {"Detach": True})
        for answer in (late, begun):
            assert (answer.status, "paused" in answer.message) == (409, True)
        target.cli("unpause", id)
        assert target.cli.text("exec", id, "echo", "well") == "well\n"


def test_a_container_full_of_processes_can_be_seen_and_ended(target: Target) -> None:
    full = "(for i in $(seq 40); do sleep 300 & done) 2>/dev/null; exec sleep 300"
    with target.running(full, "--pids-limit", "20") as id:
        assert "sleep 300" in target.cli.text("top", id)
        said = target.cli("exec", id, "true", check=False)
        assert b"internal error" not in said.stdout + said.stderr
        assert target.cli("kill", id).returncode == 0
    assert target.ask("GET", f"/containers/{id}/json").status == 404


def test_a_container_that_kills_its_monitor_ends(target: Target) -> None:
    """With the host's processes in sight, as only somebody who may do anything can have it."""
    parent = "$(cut -d' ' -f4 /proc/$$/stat)"  # not $PPID: at the shell's start that may still be the runtime
    script = f"until test -e /go; do :; done; kill -9 {parent}; sleep 300"
    with target.running(script, "--pid", "host") as id:
        target.cli("exec", id, "touch", "/go", check=False)
        assert target.ask("POST", f"/containers/{id}/wait").json["StatusCode"] == 137
    assert target.cli.text("run", "--rm", *OFF, "bb", "echo", "well") == "well\n"


@pytest.fixture
def bare(busybox_tar: Path) -> Iterator[Daemon]:
    """A daemon whose OCI runtime is not installed."""
    with lamina_daemon("--default-runtime", "nosuch") as daemon:
        Cli(daemon.host, daemon.folder)("import", "-c", 'CMD ["sh"]', str(busybox_tar), "bb")
        yield daemon


def test_an_engine_without_a_runtime_says_so(bare: Daemon) -> None:
    cli = Cli(bare.host, bare.folder)
    assert "nosuch" in cli.fails("run", "--rm", *OFF, "bb", "true", code=125)
    assert "bb" in cli.text("images")
    info = cli("info")
    assert b"No container can run: the OCI runtime 'nosuch' is not installed" in info.stdout + info.stderr
    assert "nosuch" in cli.text("version")
    assert "Traceback" not in bare.log


def test_a_runtime_that_is_not_there_is_named(target: Target) -> None:
    assert "nosuch" in target.cli.fails("run", "--rm", "--runtime", "nosuch", *OFF, "bb", "true", code=125)
