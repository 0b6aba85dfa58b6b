"""Health checks: how they are judged, what they say, and the events that tell of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.api.containers import ExecConfig
from lamina.containers.health import judged
from lamina.containers.record import Health, HealthResult
from lamina.events import Event
from lamina.formats.runconfig import Healthcheck
from support.runtimes import slow_to_exec
from support.waiting import eventually

from .conftest import Rooms


def test_health_is_judged() -> None:
    def result(code: int) -> HealthResult:
        return HealthResult("", "", code, "")

    health = judged(Health(), result(1), 2, starting=True)
    assert (health.status, health.failing_streak) == ("starting", 0)
    health = judged(health, result(1), 2, starting=False)
    assert (health.status, health.failing_streak) == ("starting", 1)
    health = judged(health, result(1), 2, starting=False)
    assert health.status == "unhealthy"
    health = judged(health, result(0), 2, starting=False)
    assert (health.status, health.failing_streak, len(health.log)) == ("healthy", 0, 4)


@pytest.mark.root
def test_health_checks(rooms: Rooms) -> None:
    check = Healthcheck(("CMD-SHELL", "test -e /well"), interval=50_000_000, retries=2)
    id = rooms.run("sleep 100", healthcheck=check)

    def status() -> str:
        health = rooms.containers.get(id).state.health
        return health.status if health else ""

    eventually(lambda: status() == "unhealthy")
    making = rooms.containers.exec_create(id, ExecConfig(cmd=("touch", "/well")))
    rooms.containers.exec_detached(making)
    eventually(lambda: status() == "healthy")
    health = rooms.containers.get(id).state.health
    assert health is not None
    assert health.log[-1].exit_code == 0
    assert "healthy" in rooms.containers.list(all=True, filters={"id": [id]})[0].status
    eventually(lambda: "health_status: healthy" in rooms.actions())
    rooms.containers.stop(id, timeout=0)
    assert status() == "unhealthy"  # nobody checks it any more
    rooms.containers.start(id)
    eventually(lambda: status() == "healthy")


@pytest.mark.root
def test_a_health_check_is_an_exec_to_those_who_listen(rooms: Rooms) -> None:
    check = Healthcheck(("CMD", "sh", "-c", "exit 4"), interval=50_000_000)
    id = rooms.run("sleep 100", healthcheck=check)

    def ended() -> list[Event]:
        return [event for event in rooms.events.past(0, 1 << 63) if event.action == "exec_die"]

    first = eventually(ended)[0]
    assert first.actor_id == id
    assert first.attributes["exitCode"] == "4"
    told = [event for event in rooms.events.past(0, 1 << 63) if event.attributes.get("execID")]
    own = [event.action for event in told if event.attributes["execID"] == first.attributes["execID"]]
    assert own == ["exec_create: sh -c exit 4", "exec_start: sh -c exit 4", "exec_die"]


@pytest.mark.root
def test_a_health_check_that_takes_too_long_says_what_it_said_so_far(rooms: Rooms) -> None:
    script = "echo one; echo two; sleep 100"
    check = Healthcheck(("CMD", "sh", "-c", script), interval=50_000_000, timeout=500_000_000)
    id = rooms.run("sleep 100", healthcheck=check)

    def results() -> tuple[HealthResult, ...]:
        health = rooms.containers.get(id).state.health
        return health.log if health else ()

    first = eventually(results)[0]
    assert (first.exit_code, first.output) == (-1, "Health check exceeded timeout (500ms): one\ntwo\n")


class TestSlowRuntime:
    """A runtime that takes longer to start a check than the check may take."""

    @pytest.fixture
    def program(self, tmp_path: Path) -> str:
        return slow_to_exec(tmp_path)

    @pytest.mark.root
    @pytest.mark.peer
    def test_the_start_of_a_health_check_is_not_part_of_its_time(self, rooms: Rooms) -> None:
        check = Healthcheck(("CMD", "sh", "-c", "echo well"), interval=50_000_000, timeout=1_000_000_000)
        id = rooms.run("sleep 100", healthcheck=check)

        def results() -> tuple[HealthResult, ...]:
            health = rooms.containers.get(id).state.health
            return health.log if health else ()

        first = eventually(results)[0]
        assert (first.exit_code, first.output) == (0, "well\n")
