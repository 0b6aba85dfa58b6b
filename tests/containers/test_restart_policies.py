"""What is seen of a container while its restart policy starts it again."""

from __future__ import annotations

import threading

import pytest

from lamina.api.containers import HostConfig, RestartPolicy

from .conftest import Rooms

pytestmark = pytest.mark.root

RETRIES = 3


def test_a_container_exits_only_when_its_policy_gives_up(rooms: Rooms) -> None:
    """Who waits for the end by looking at the state must not take one of several ends for the last one."""
    policy = RestartPolicy("on-failure", RETRIES)
    id = rooms.create("exit 3", host=HostConfig(network_mode="none", restart_policy=policy))
    exits: set[int] = set()

    def look() -> None:
        while RETRIES not in exits:
            record = rooms.containers.live(id).record
            if record.state.status == "exited":
                exits.add(record.restart_count)

    looking = threading.Thread(target=look)
    looking.start()
    rooms.containers.start(id)
    looking.join(60)

    assert exits == {RETRIES}
    assert rooms.containers.get(id).state.exit_code == 3
