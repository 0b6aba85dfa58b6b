"""An engine that comes back finds its containers."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lamina.api.containers import HostConfig, RestartPolicy
from lamina.containers.catalog import BUCKET
from lamina.formats.runconfig import Healthcheck
from support.waiting import eventually

from .conftest import Rooms

pytestmark = pytest.mark.root

NONE: dict[str, Any] = {"network_mode": "none"}


def test_running_containers_go_on(reopen: Callable[[], Rooms]) -> None:
    rooms = reopen()
    id = rooms.run("read x; echo $x; exit 5", open_stdin=True)
    pid = rooms.containers.get(id).state.pid
    rooms = reopen()
    state = rooms.containers.get(id).state
    assert (state.status, state.pid) == ("running", pid)
    with rooms.containers.attach(id, stdin=True).detach() as connection:
        connection.sendall(b"still here\n")
        assert b"still here" in connection.recv(100)
    assert rooms.containers.wait(id, timeout=10).exit_code == 5
    rooms.containers.remove(id)


def test_networked_containers_keep_their_place(reopen: Callable[[], Rooms]) -> None:
    rooms = reopen()
    id = rooms.run("sleep 100", host=HostConfig())
    before = rooms.containers.get(id).networks["bridge"].ip_address
    rooms = reopen()
    assert rooms.containers.get(id).networks["bridge"].ip_address == before != ""


def test_names_that_the_engine_before_did_not_keep_are_kept_by_the_next(reopen: Callable[[], Rooms]) -> None:
    rooms = reopen()
    rooms.networks.create("named")
    id = rooms.run("sleep 100", name="present", host=HostConfig(network_mode="named"))
    (endpoint,) = rooms.networks.joined(id)
    rooms.networks.rename(endpoint, ("past",))  # where it stands when an engine dies in a rename
    rooms = reopen()
    assert [endpoint.names for endpoint in rooms.networks.joined(id)] == [("present", id[:12])]
    rooms.containers.remove(id, force=True)
    rooms.networks.remove("named")


def test_ends_that_nobody_saw(reopen: Callable[[], Rooms]) -> None:
    rooms = reopen()
    kept = rooms.run("read x; exit 6", open_stdin=True)
    going = rooms.run("read x", open_stdin=True, host=HostConfig(**NONE, auto_remove=True))
    again = rooms.run(
        "echo up; read x; exit 1",
        open_stdin=True,
        host=HostConfig(**NONE, restart_policy=RestartPolicy("always")),
    )
    clients = [rooms.containers.attach(id, stdin=True).detach() for id in (kept, going, again)]
    pids = [rooms.containers.get(id).state.pid for id in (kept, going, again)]
    rooms.containers.close()
    for client in clients:
        client.sendall(b"\n")
        while client.recv(4096):
            pass
        client.close()
    rooms = reopen()
    state = eventually(lambda: not rooms.containers.get(kept).state.running and rooms.containers.get(kept).state)
    assert (state.status, state.exit_code) == ("exited", 6)
    eventually(lambda: going not in [c.id for c in rooms.containers.list(all=True)])
    eventually(lambda: rooms.containers.get(again).state.status == "running")
    assert rooms.containers.get(again).state.pid not in pids
    rooms.containers.remove(again, force=True)


def test_a_recovered_container_has_its_health_checked_once(reopen: Callable[[], Rooms]) -> None:
    """Whether it went on running, or was started again by its restart policy."""
    rooms = reopen()
    always = HostConfig(**NONE, restart_policy=RestartPolicy("always"))
    check = Healthcheck(("CMD", "true"), interval=3600_000_000_000)
    going = rooms.run("exec sleep 1000", healthcheck=check)
    stopped = rooms.run("exec sleep 1000", host=always, healthcheck=check)
    rooms.containers.stop(stopped, timeout=0)
    rooms = reopen()
    eventually(lambda: rooms.containers.get(stopped).state.status == "running")
    names = [thread.name for thread in threading.enumerate()]
    assert [names.count(f"lamina-health-{id[:12]}") for id in (going, stopped)] == [1, 1]


def test_started_when_the_engine_died(reopen: Callable[[], Rooms]) -> None:
    """The process runs, and nothing was written of it: nobody was told, so it is ended, and can be started again."""
    rooms = reopen()
    id = rooms.create("exec sleep 1000")
    with rooms.store.read() as view:
        before = view.get(BUCKET, id)
    assert before is not None
    rooms.containers.start(id)
    held = os.pidfd_open(rooms.containers.get(id).state.pid)
    with rooms.store.transaction() as tx:
        tx.put(BUCKET, id, before)
    rooms = reopen()
    assert rooms.containers.get(id).state.status == "created"
    assert select.select([held], [], [], 10)[0], "the container's process still runs"
    os.close(held)
    rooms.containers.start(id)
    assert rooms.containers.get(id).state.status == "running"


def test_prepared_and_never_started(reopen: Callable[[], Rooms]) -> None:
    rooms = reopen()
    id = rooms.create("true")
    rooms.containers.attach(id).close()
    rooms = reopen()
    assert not (rooms.root / "exec/tasks" / id).exists()
    rooms.containers.start(id)
    assert rooms.containers.wait(id, timeout=10).exit_code == 0


def test_stopped_ones_stay_so(reopen: Callable[[], Rooms]) -> None:
    rooms = reopen()
    policy = HostConfig(**NONE, restart_policy=RestartPolicy("unless-stopped"))
    id = rooms.run("sleep 100", host=policy)
    rooms.containers.stop(id, timeout=0)
    rooms = reopen()
    assert rooms.containers.get(id).state.status == "exited"


def test_what_was_removed_does_not_come_back(reopen: Callable[[], Rooms]) -> None:
    rooms = reopen()
    container = rooms.containers.live(rooms.run("sleep 100"))
    rooms.containers.remove(container.id, force=True)
    container.set_state(error="a late check")
    rooms = reopen()
    assert rooms.containers.list(all=True) == []


def test_a_volume_that_a_killed_engine_had_mounted_for_a_copy_is_unmounted(reopen: Callable[[], Rooms]) -> None:
    rooms = reopen()
    options = {"type": "tmpfs", "device": "tmpfs"}
    places = {rooms.volumes.path(rooms.volumes.create(name, driver_opts=options).name) for name in ("used", "copied")}
    used = rooms.volumes.path("used")
    id = rooms.run("sleep 100", host=HostConfig(**NONE, binds=("used:/v",)))
    rooms.volumes.mount("copied", "view:of-a-copy")
    assert {place for place in places if os.path.ismount(place)} == places
    rooms = reopen()
    assert {place for place in places if os.path.ismount(place)} == {used}
    rooms.containers.remove(id, force=True)
    assert not os.path.ismount(used)
