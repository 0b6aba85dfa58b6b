"""Which verb a container takes in which state."""

from __future__ import annotations

import pytest

from lamina.api.containers import Config, HostConfig, RestartPolicy
from lamina.containers.container import Restarting
from lamina.containers.record import Record
from lamina.containers.states import REFUSALS, RUNNING, STATUSES, Verb, check
from lamina.errors import Conflict, NotModified

ALLOWED: dict[Verb, set[str]] = {
    "start": {"created", "exited", "restarting"},
    "pause": {"running"},
    "unpause": {"paused"},
    "kill": set(RUNNING),
    "update": set(STATUSES) - {"removing", "dead"},
    "remove": {"created", "exited", "removing", "dead"},
    "attach": set(STATUSES) - {"paused", "restarting"},
    "exec": {"running"},
    "use": {"running", "paused"},
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("verb", REFUSALS)
def test_a_verb_is_refused_in_every_state_but_its_own(verb: Verb, status: str) -> None:
    if status in ALLOWED[verb]:
        check(verb, status, id="c0ffee", name="web")
        return
    with pytest.raises((Conflict, NotModified), match=r"c0ffee|web|container|paused"):
        check(verb, status, id="c0ffee", name="web")


def test_a_refusal_names_the_container_and_its_state() -> None:
    with pytest.raises(NotModified, match=r"^container web is already running$"):
        check("start", "running", id="c0ffee", name="web")
    with pytest.raises(Conflict, match=r'^cannot remove container "/web": container is restarting: stop') as caught:
        check("remove", "restarting", id="c0ffee", name="web")
    assert caught.value.facts["container"] == "c0ffee"


def test_a_restart_policy_waits_twice_as_long_each_time_until_the_container_ran_well() -> None:
    """moby daemon/internal/restartmanager: 100 ms, doubled up to a minute, and anew after ten seconds."""
    record = Record(
        id="i",
        name="n",
        created="",
        image="",
        platform="",
        config=Config(),
        host_config=HostConfig(restart_policy=RestartPolicy("always")),
        networks={},
        mounts=(),
        driver="",
    )
    restarting = Restarting()
    delays = []
    for seconds in (0.1, 9.9, 0.0, 0.0, 10.0, 0.0):
        assert restarting.again(record, 1, seconds)
        delays.append(restarting.delay)
    assert delays == [0.1, 0.2, 0.4, 0.8, 0.1, 0.2]
    for _ in range(20):
        restarting.again(record, 1, 0.0)
    assert restarting.delay == 60.0
    restarting.cancellation.cancel()
    assert not restarting.again(record, 1, 0.0)
