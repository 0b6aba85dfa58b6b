"""Logs, exec, top, stats, update, ps and prune."""

from __future__ import annotations

import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from lamina.api.containers import Config, ExecConfig, HostConfig, LogConfig, UpdateConfig
from lamina.containers.inspect import command_text
from lamina.containers.logs import LogOptions, read
from lamina.containers.stop import parse_signal
from lamina.errors import Conflict, InvalidInput, NotFound, Unsupported
from lamina.formats.times import parse_time
from lamina.runtime.monitor.log_file import LogFile
from lamina.runtime.monitor.output import Log
from lamina.types import LogRecord
from support.waiting import eventually

from .conftest import IMAGE, Rooms

NONE = HostConfig(network_mode="none")


def texts(records: list[LogRecord]) -> list[str]:
    return [record.data.decode() for record in records]


def test_reading_logs(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(LogFile(str(path), max_size=150, max_files=5))
    for number in range(8):
        log.write("stderr" if number % 2 else "stdout", b"%d\n" % number)
    log.close()

    def ended() -> bool:
        return False

    everything = list(read(path, LogOptions(), ended))
    assert texts(everything) == [f"{n}\n" for n in range(8)]
    assert texts(list(read(path, LogOptions(tail=2), ended))) == ["6\n", "7\n"]
    assert texts(list(read(path, LogOptions(tail=0), ended))) == []
    assert [texts(list(read(path, LogOptions(tail=n), ended))) for n in range(9)] == [
        [f"{number}\n" for number in range(8 - n, 8)] for n in range(9)
    ]
    assert texts(list(read(path, LogOptions(stderr=False, tail=3), ended))) == ["6\n"]
    middle = parse_time(everything[4].time)
    assert texts(list(read(path, LogOptions(since=middle), ended)))[0] == "4\n"
    assert texts(list(read(path, LogOptions(until=middle), ended)))[-1] == "4\n"
    assert list(read(tmp_path / "none", LogOptions(), ended)) == []


def test_the_end_of_a_long_log_costs_no_more_than_that_of_a_short_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    line = '{"log":"%d\\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}\n'
    path.write_text("".join(line % number for number in range(40_000)) + '{"log":"half')

    def taken() -> int:
        counters = dict(entry.split(": ") for entry in Path("/proc/thread-self/io").read_text().splitlines())
        return int(counters["rchar"])

    before = taken()
    assert texts(list(read(path, LogOptions(tail=2), lambda: False))) == ["39998\n", "39999\n"]
    assert taken() - before < 200_000 < path.stat().st_size
    tracemalloc.start()
    try:
        assert sum(1 for _ in read(path, LogOptions(tail=30_000), lambda: False)) == 30_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_reading_the_present_ends_beside_a_busy_writer(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(LogFile(str(path)))
    log.write("stdout", b"1\n2\n3\n")
    seen = []
    for record in islice(read(path, LogOptions(), lambda: False), 10):
        seen.append(record.data)
        log.write("stdout", b"more\n" * 10_000)
    log.close()
    assert seen == [b"1\n", b"2\n", b"3\n"]


def test_following_over_rotations(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(LogFile(str(path), max_size=400, max_files=50))
    log.write("stdout", b"0\n")
    writing = threading.Event()

    def write() -> None:
        for number in range(1, 50):
            log.write("stdout", b"%d\n" % number)
            time.sleep(0.005)
        log.close()
        writing.set()

    threading.Thread(target=write).start()
    seen = texts(list(read(path, LogOptions(follow=True), lambda: not writing.is_set())))
    assert seen == [f"{n}\n" for n in range(50)]


def test_commands_and_signals() -> None:
    assert command_text(("sh", "-c", "a b")) == "sh -c 'a b'"
    assert [parse_signal(text) for text in ("", "9", "term", "SIGHUP", "RTMIN+1")] == [9, 9, 15, 1, 35]


@pytest.mark.root
def test_exec(rooms: Rooms) -> None:
    containers = rooms.containers
    id = rooms.run("sleep 100", env=("A=b",))
    wish = ExecConfig(cmd=("sh", "-c", "echo $A $B; exit 9"), env=("B=c",), attach_stdout=True)
    exec_id = containers.exec_create(id, wish)
    connection = containers.exec_start(exec_id).detach()
    with connection:
        assert b"".join(iter(partial(connection.recv, 4096), b""))[8:] == b"b c\n"
    assert eventually(lambda: containers.exec_inspect(exec_id).exit_code) == 9
    with pytest.raises(Conflict):
        containers.exec_start(exec_id)
    missing = containers.exec_create(id, ExecConfig(cmd=("nothing",)))
    with pytest.raises(InvalidInput):
        containers.exec_start(missing)
    assert containers.exec_inspect(missing).exit_code == 127
    sized = containers.exec_create(id, ExecConfig(cmd=("cat",), tty=True, attach_stdout=True, attach_stdin=True))
    with ThreadPoolExecutor() as pool:  # clients ask for a size while the exec starts
        early = pool.submit(containers.exec_resize, sized, 44, 155)
        connection = containers.exec_start(sized).detach()
        with connection:
            early.result(20)
            connection.sendall(b"\x04")
            eventually(lambda: containers.exec_inspect(sized).exit_code == 0)
    detached = containers.exec_create(id, ExecConfig(cmd=("touch", "/made")))
    containers.exec_detached(detached)
    eventually(lambda: containers.exec_inspect(detached).exit_code == 0)
    assert containers.stat_path(id, "/made").size == 0
    containers.pause(id)
    with pytest.raises(Conflict):
        containers.exec_create(id, wish)
    with pytest.raises(NotFound):
        containers.exec_inspect("none")


@pytest.mark.root
def test_top_stats_and_update(rooms: Rooms) -> None:
    id = rooms.run("sleep 100", host=HostConfig(network_mode="bridge", memory=32 << 20))
    assert "PID" in rooms.containers.top(id).titles
    eventually(lambda: [row[-1] for row in rooms.containers.top(id).rows] == ["sleep 100"])
    chosen = rooms.containers.top(id, "-o pid,comm")  # without -e or its like ps(1) looks at its own terminal only
    assert (chosen.titles, [row[1] for row in chosen.rows]) == (("PID", "COMMAND"), ["sleep"])
    assert len(rooms.containers.top(id, "f -ef").rows) == 1, "f does not go with -q"
    stats = rooms.containers.reading(id)
    assert stats.memory_limit == 32 << 20
    assert "eth0" in stats.networks
    assert rooms.containers.update(id, UpdateConfig(memory=40 << 20, memory_swap=80 << 20)) == ()
    assert rooms.containers.reading(id).memory_limit == 40 << 20
    assert rooms.containers.get(id).host_config.memory == 40 << 20
    with pytest.raises(InvalidInput):
        rooms.containers.update(id, UpdateConfig(memory=1000))
    rooms.containers.stop(id, timeout=0)
    assert rooms.containers.reading(id).usage is None
    with pytest.raises(Conflict):
        rooms.containers.top(id)


@pytest.mark.root
def test_ps(rooms: Rooms) -> None:
    first = rooms.run("exit 3", name="first", labels={"a": "1"})
    rooms.containers.wait(first, timeout=10)
    second = rooms.run("sleep 100", name="second", volumes={"/v": {}}, exposed_ports={"80/tcp": {}})

    def found(**filters: str) -> list[str]:
        chosen = {key.replace("_", "-"): [value] for key, value in filters.items()}
        return [c.name for c in rooms.containers.list(all=True, filters=chosen)]

    assert [c.name for c in rooms.containers.list()] == ["second"]
    assert [c.name for c in rooms.containers.list(all=True)] == ["second", "first"]
    assert [c.name for c in rooms.containers.list(limit=1)] == ["second"]
    for filters, names in (
        ({"status": "exited"}, ["first"]),
        ({"exited": "3"}, ["first"]),
        ({"label": "a=1"}, ["first"]),
        ({"name": "sec"}, ["second"]),
        ({"name": "^/first$"}, ["first"]),
        ({"id": second[:12]}, ["second"]),
        ({"before": "second"}, ["first"]),
        ({"since": first}, ["second"]),
        ({"ancestor": IMAGE}, ["second", "first"]),
        ({"ancestor": "none"}, []),
        ({"volume": "/v"}, ["second"]),
        ({"expose": "80"}, ["second"]),
        ({"expose": "79-81/tcp"}, ["second"]),
        ({"publish": "80"}, []),
        ({"network": "none"}, ["second", "first"]),
        ({"health": "none"}, ["second", "first"]),
    ):
        assert found(**filters) == names, filters
    for wrong in ({"status": "odd"}, {"exited": "x"}, {"what": "x"}):
        with pytest.raises(InvalidInput):
            found(**wrong)
    shown = rooms.containers.list(all=True, filters={"id": [first]}, size=True)[0]
    assert (shown.image, shown.state, shown.name) == (IMAGE, "exited", "first")
    assert shown.size_root_fs is not None
    assert shown.size_rw is not None
    assert shown.size_root_fs >= shown.size_rw


@pytest.mark.root
def test_prune_and_who_uses_what(rooms: Rooms) -> None:
    ended = rooms.run("echo data > /file", volumes={"/v": {}})
    rooms.containers.wait(ended, timeout=10)
    running = rooms.run("sleep 100")
    volume = rooms.containers.get(ended).record.mounts[0].name
    with pytest.raises(Conflict):
        rooms.volumes.remove(volume)
    with pytest.raises(Conflict):
        rooms.images.remove(IMAGE)
    pruned = rooms.containers.prune()
    assert pruned.removed == (ended,)
    assert pruned.reclaimed >= 5
    rooms.volumes.remove(volume)
    assert [c.id for c in rooms.containers.list(all=True)] == [running]


@pytest.mark.root
def test_no_log(rooms: Rooms) -> None:
    host = HostConfig(network_mode="none", log_config=LogConfig("none"))
    id = rooms.run("echo x", host=host)
    rooms.containers.wait(id, timeout=10)
    with pytest.raises(Unsupported):
        rooms.containers.logs(id)
    with pytest.raises(InvalidInput):
        rooms.create("true", host=HostConfig(log_config=LogConfig("fluentd")))


def test_config_shows_its_streams() -> None:
    assert Config(tty=True).to_docker()["Tty"] is True
