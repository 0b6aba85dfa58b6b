"""Health checks that write without end, or never end; with each runtime."""

from __future__ import annotations

from typing import Any

import pytest

from support.hostile import Target
from support.memory import MIB, growth
from support.waiting import eventually

pytestmark = pytest.mark.root

SECOND = 1_000_000_000  # nanoseconds


def checked(target: Target, *command: str, timeout: int) -> str:
    """A running container whose health is checked by `command`."""
    check = {"Test": ["CMD", *command], "Interval": SECOND // 10, "Timeout": timeout, "Retries": 1}
    id = target.create("sleep", "300", Healthcheck=check)
    assert target.start(id).status == 204
    return id


def results(target: Target, id: str) -> list[dict[str, Any]]:
    health = target.ask("GET", f"/containers/{id}/json").json["State"]["Health"]
    return list(health["Log"] or ())


def processes(target: Target, id: str) -> list[str]:
    return [row[-1] for row in target.ask("GET", f"/containers/{id}/top").json["Processes"]]


def test_output_without_end_needs_no_memory(either: Target) -> None:
    assert either.daemon.process is not None
    with growth(either.daemon.process.pid) as grown:
        id = checked(either, "cat", "/dev/zero", timeout=3 * SECOND)
        first = eventually(lambda: results(either, id), seconds=60)[0]
    assert first["ExitCode"] == -1
    assert "exceeded timeout (3s)" in first["Output"]
    assert grown.bytes < 64 * MIB
    either.remove(id)


def test_much_output_is_cut_and_the_exit_code_counts(either: Target) -> None:
    id = checked(either, "sh", "-c", "yes | head -c 3000000; exit 3", timeout=60 * SECOND)
    first = eventually(lambda: results(either, id), seconds=60)[0]
    assert first["ExitCode"] == 3
    assert first["Output"] == "y\n" * 2048 + "..."
    either.remove(id)


def test_a_check_past_its_timeout_is_killed_with_what_it_started(either: Target) -> None:
    """The shell is killed; `yes` meets a closed pipe."""
    script = "echo >> /checks; yes check-$(wc -l < /checks); true"
    id = checked(either, "sh", "-c", script, timeout=SECOND)
    assert eventually(lambda: results(either, id), seconds=60)[0]["ExitCode"] == -1
    eventually(lambda: not any("check-1" in command for command in processes(either, id)))
    either.remove(id)
