"""The life of containers: made, started, ended, removed, and what is told of it."""

from __future__ import annotations

import socket
import struct
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from lamina.api.containers import Config, HostConfig, RestartPolicy, UpdateConfig, decode
from lamina.containers.attach import parse_keys
from lamina.containers.stop import send
from lamina.errors import Conflict, InvalidInput, NotFound
from support.waiting import eventually

from .conftest import Rooms

pytestmark = pytest.mark.root

NONE = HostConfig(network_mode="none")


def test_a_whole_life(rooms: Rooms) -> None:
    containers = rooms.containers
    id = rooms.create("echo out; echo err >&2; exit 3", name="one", env=("A=b",), labels={"k": "v"})
    assert containers.get("one").state.status == "created"
    with containers.attach("one", stdin=False).detach() as connection:
        ended = containers.waiting(id, "next-exit")
        containers.start("one")
        seen = b"".join(iter(lambda: connection.recv(4096), b""))
    assert seen == struct.pack(">BxxxI", 1, 4) + b"out\n" + struct.pack(">BxxxI", 2, 4) + b"err\n"
    assert ended.result(10).exit_code == 3
    shown = containers.get(id[:12])
    assert (shown.state.status, shown.exit_code, shown.state.pid) == ("exited", 3, 0)
    assert shown.name == "one"
    assert shown.snapshot.upper is not None
    assert {record.stream for record in containers.logs(id)} == {"stdout", "stderr"}
    containers.start(id)
    assert containers.wait(id, timeout=10).exit_code == 3
    containers.remove(id)
    with pytest.raises(NotFound):
        containers.get(id)
    assert rooms.actions() == ["create", "attach", "start", "die", "start", "die", "destroy"]
    assert rooms.snapshots.keys() == []


def test_nothing_is_written_before_the_start_that_inspect_tells(rooms: Rooms) -> None:
    id = rooms.create("echo out")
    for _ in range(5):
        rooms.containers.start(id)
        rooms.containers.wait(id, timeout=10)
        started = rooms.containers.get(id).state.started_at
        assert len(list(rooms.containers.logs(id, since=started))) == 1


def test_environment_user_and_directory(rooms: Rooms) -> None:
    script = "env | sort; id -u; pwd; hostname; cat /proc/1/cgroup | wc -l"
    text = rooms.output(rooms.run(script, env=("A=b",), user="nobody", working_dir="/new/place", hostname="box"))
    assert "A=b\n" in text
    assert "HOME=/\n" in text
    assert "HOSTNAME=box\n" in text
    assert "PATH=/usr/local/sbin" in text
    assert "\n65534\n/new/place\nbox\n" in text


def test_names(rooms: Rooms) -> None:
    first = rooms.create("true", name="a_b")
    with pytest.raises(Conflict, match='"/a_b" is already in use'):
        rooms.create("true", name="/a_b")
    with pytest.raises(InvalidInput):
        rooms.create("true", name="?")
    second = rooms.create("true")
    assert "_" in rooms.containers.get(second).name
    rooms.containers.rename(second, "other")
    with pytest.raises(Conflict):
        rooms.containers.rename(first, "other")
    assert rooms.containers.get("other").id == second
    with pytest.raises(NotFound):
        rooms.containers.get("nobody")


@pytest.mark.parametrize(
    ("command", "code"), [(("nothing",), 127), (("/etc/passwd",), 126), (("/etc",), 126), (("/nothing",), 127)]
)
def test_commands_that_cannot_run(rooms: Rooms, command: tuple[str, ...], code: int) -> None:
    id = rooms.create(cmd=command)
    with pytest.raises(InvalidInput) as caught:
        rooms.containers.start(id)
    assert caught.value.facts["exit_code"] == code
    state = rooms.containers.get(id).state
    assert (state.status, state.exit_code) == ("created", code)
    assert not (rooms.root / "exec/tasks" / id).exists()
    rooms.containers.remove(id)


def test_bad_requests_leave_nothing(rooms: Rooms) -> None:
    with pytest.raises(NotFound):
        rooms.create("true", image="missing")
    for host in (
        HostConfig(memory=1000),
        HostConfig(restart_policy=RestartPolicy("sometimes")),
        HostConfig(cap_add=("fly",)),
        HostConfig(binds=("relative/path:/x",)),
        HostConfig(security_opt=("what",)),
    ):
        with pytest.raises(InvalidInput):
            rooms.create("true", host=host)
    with pytest.raises(InvalidInput, match="no command"):
        rooms.create()
    with pytest.raises(InvalidInput, match="Memory"):
        decode({"Memory": "much"}, HostConfig)
    assert rooms.containers.list(all=True) == []
    assert rooms.snapshots.keys() == []
    assert decode({"Cmd": None, "Env": ["A=b"], "Labels": None}, Config).env == ("A=b",)


def test_stop_waits_for_the_signal_to_be_heard(rooms: Rooms) -> None:
    id = rooms.run("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    eventually(lambda: list(rooms.containers.logs(id)))
    rooms.containers.stop(id, timeout=10)
    assert rooms.containers.get(id).state.exit_code == 5
    assert not rooms.containers.stop(id)
    assert rooms.actions()[-3:] == ["kill", "die", "stop"]


def test_stop_kills_who_does_not_hear(rooms: Rooms) -> None:
    id = rooms.run("trap '' TERM; while :; do sleep 0.05; done")
    rooms.containers.stop(id, timeout=0)
    assert rooms.containers.get(id).state.exit_code == 137


def test_kill_pause_and_restart(rooms: Rooms) -> None:
    containers = rooms.containers
    id = rooms.run("while :; do sleep 0.05; done")
    assert not containers.start(id)
    containers.pause(id)
    with pytest.raises(Conflict):
        containers.pause(id)
    assert containers.get(id).state.status == "paused"
    containers.unpause(id)
    before = containers.get(id).state.pid
    containers.restart(id, timeout=0)
    assert containers.get(id).state.pid != before
    with pytest.raises(Conflict):
        containers.remove(id)
    containers.kill(id, "KILL")
    assert containers.get(id).state.exit_code == 137, "it is told before the process is gone"
    with pytest.raises(Conflict):
        containers.kill(id)
    with pytest.raises(InvalidInput):
        containers.kill(id, "SIGNONE")


def test_a_paused_container_can_be_removed_by_force(rooms: Rooms) -> None:
    id = rooms.run("sleep 100")
    rooms.containers.pause(id)
    rooms.containers.remove(id, force=True)
    assert rooms.containers.list(all=True) == []


def test_auto_remove(rooms: Rooms) -> None:
    id = rooms.create("exit 4", host=HostConfig(network_mode="none", auto_remove=True))
    gone = rooms.containers.waiting(id, "removed")
    rooms.containers.start(id)
    assert gone.result(10).exit_code == 4
    assert rooms.containers.list(all=True) == []
    assert rooms.actions()[-2:] == ["die", "destroy"]


def test_a_forced_removal_does_not_mind_that_the_container_removes_itself(rooms: Rooms) -> None:
    id = rooms.run("sleep 100", host=HostConfig(network_mode="none", auto_remove=True))
    rooms.containers.remove(id, force=True)
    assert rooms.containers.list(all=True) == []
    assert rooms.actions().count("destroy") == 1


def test_restart_policies(rooms: Rooms) -> None:
    policy = HostConfig(network_mode="none", restart_policy=RestartPolicy("on-failure", 2))
    id = rooms.run("exit 1", host=policy)
    eventually(lambda: rooms.actions().count("die") == 3)
    eventually(lambda: rooms.containers.get(id).state.status == "exited")
    assert rooms.containers.get(id).record.restart_count == 2
    always = rooms.run("exit 0", host=HostConfig(network_mode="none", restart_policy=RestartPolicy("always")))
    eventually(lambda: rooms.containers.get(always).record.restart_count >= 2)
    rooms.containers.stop(always, timeout=0)
    assert rooms.containers.get(always).state.status == "exited"
    rooms.containers.remove(always, force=True)


def test_terminal_and_detach(rooms: Rooms) -> None:
    id = rooms.create("read x; stty size; echo got $x", tty=True, open_stdin=True)
    first = rooms.containers.attach(id, stdin=True).detach()
    rooms.containers.start(id)
    rooms.containers.resize(id, 30, 90)
    with first:
        first.sendall(parse_keys(""))
        assert b"".join(iter(lambda: first.recv(4096), b"")) == b""
    with rooms.containers.attach(id, stdin=True).detach() as second:
        second.sendall(b"word\n")
        seen = b"".join(iter(lambda: second.recv(4096), b""))
    assert b"30 90\r\ngot word\r\n" in seen


def test_input_and_its_end(rooms: Rooms) -> None:
    id = rooms.create("cat", open_stdin=True, stdin_once=True)
    with rooms.containers.attach(id, stdin=True).detach() as connection:
        rooms.containers.start(id)
        connection.sendall(b"abc")
        connection.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: connection.recv(4096), b""))[8:] == b"abc"
    assert rooms.output(id) == "abc"


def test_many_at_once(rooms: Rooms) -> None:
    ids = [rooms.create(f"echo {number}") for number in range(6)]
    waits = [rooms.containers.waiting(id, "next-exit") for id in ids]
    for id in ids:
        rooms.containers.start(id)
    assert [wait.result(20).exit_code for wait in waits] == [0] * 6
    assert [rooms.output(id) for id in ids] == [f"{number}\n" for number in range(6)]


def test_a_restart_keeps_a_container_that_removes_itself_until_its_next_end(rooms: Rooms) -> None:
    """moby daemon/monitor.go, handleContainerExit: HasBeenManuallyRestarted."""
    id = rooms.run("sleep 100", host=HostConfig(network_mode="none", auto_remove=True))
    before = rooms.containers.get(id).state.pid
    rooms.containers.restart(id, timeout=0)
    assert rooms.containers.get(id).state.pid != before
    with pytest.raises(Conflict, match="Restart policy cannot be updated because AutoRemove is enabled"):
        rooms.containers.update(id, UpdateConfig(restart_policy=RestartPolicy("always")))
    gone = rooms.containers.waiting(id, "removed")
    rooms.containers.kill(id)
    assert gone.result(10).exit_code == 137
    assert rooms.containers.list(all=True) == []


def test_followers_see_no_end_while_a_container_is_restarted(rooms: Rooms) -> None:
    """Compose stops following when an inspect that a `die` provokes says "exited"."""
    id = rooms.run("sleep 100")
    seen = []
    events = rooms.events.subscribe()
    with ThreadPoolExecutor(1) as thread:
        restarting = thread.submit(rooms.containers.restart, id, timeout=0)
        for event in events:
            seen.append((event.action, rooms.containers.get(id).state.running))
            if event.action == "restart":
                break
        restarting.result(10)
    events.close()
    assert ("die", True) in seen
    assert rooms.containers.get(id).state.status == "running"


def test_a_restart_that_fails_leaves_an_ended_container(rooms: Rooms) -> None:
    id = rooms.run("sleep 100")
    container = rooms.containers.live(id)
    container.change(config=msgspec.structs.replace(container.record.config, cmd=("nothing",)))
    with pytest.raises(InvalidInput, match="executable file not found"):
        rooms.containers.restart(id, timeout=0)
    assert rooms.containers.get(id).state.status == "exited"


def test_a_start_by_hand_begins_the_policy_anew(rooms: Rooms) -> None:
    """moby container.ResetRestartManager: counts from zero, and a stop before it does not count."""
    policy = HostConfig(network_mode="none", restart_policy=RestartPolicy("on-failure", 1))
    id = rooms.run("exit 1", host=policy)
    eventually(lambda: rooms.containers.get(id).state.status == "exited" and rooms.actions().count("die") == 2)
    assert rooms.containers.get(id).restart_count == 1
    rooms.containers.start(id)
    eventually(lambda: rooms.actions().count("die") == 4)
    eventually(lambda: rooms.containers.get(id).state.status == "exited")
    assert rooms.containers.get(id).restart_count == 1


def test_a_terminal_takes_any_size_of_32_bits(rooms: Rooms) -> None:
    id = rooms.create("read x; stty size", tty=True, open_stdin=True)
    rooms.containers.start(id)
    rooms.containers.resize(id, 0xFFFF0000 + 44, 0xFFFF0000 + 155)
    with rooms.containers.attach(id, stdin=True).detach() as connection:
        connection.sendall(b"go\n")
        seen = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"44 155" in seen


def test_a_container_that_goes_is_no_container_to_those_who_ask(rooms: Rooms) -> None:
    """Nobody hears of the files and snapshots that went with it."""
    told: set[str] = set()

    def ask(id: str) -> None:
        while True:
            try:
                rooms.containers.get(id)
                rooms.containers.changes(id)
            except NotFound as error:
                told.add(error.message.replace(id, "ID"))
                return

    for _ in range(20):
        id = rooms.create("true")
        with ThreadPoolExecutor() as pool:
            pool.map(ask, [id] * 3)
            rooms.containers.remove(id)

    assert told == {"No such container: ID"}


def test_a_signal_for_a_container_that_has_just_ended_is_refused_with_its_name(rooms: Rooms) -> None:
    """Its process is gone; its record says that it runs until the end is settled, which waits for the lock."""
    id = rooms.run("read x", open_stdin=True)
    container = rooms.containers.live(id)
    with container.lock:
        assert container.task is not None
        container.task.kill(9)
        container.task.wait(10)
        assert container.state.status == "running"
        with pytest.raises(Conflict, match=f"cannot kill container: {id}: container {id} is not running"):
            send(container, 15)
