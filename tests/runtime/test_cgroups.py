"""cgroup layouts and counters, of both versions, from files as the kernel writes them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from lamina.errors import Conflict
from lamina.runtime.cgroups.control import freeze
from lamina.runtime.cgroups.layout import Layout, detect, processes
from lamina.runtime.cgroups.stats import BlockIo, read
from lamina.runtime.monitor.cgroup import OomWatch, kill_all, oom_kills, remove
from lamina.runtime.monitor.loop import Loop

V1 = """30 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
"""
V2 = "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "t").mkdir()
    return Layout("v2", {}, tmp_path)


@pytest.mark.parametrize("mode", ["v1", "v2"])
def test_what_has_ended_cannot_be_paused(tmp_path: Path, mode: Literal["v1", "v2"]) -> None:
    with pytest.raises(Conflict):
        freeze(Layout(mode, {"freezer": tmp_path}, tmp_path), "/gone", True)


def detected(tmp_path: Path, table: str) -> Layout:
    file = tmp_path / "mountinfo"
    file.write_text(table)
    return detect.__wrapped__(str(file))


def test_layouts(tmp_path: Path) -> None:
    v1 = detected(tmp_path, V1)
    assert v1.mode == "v1"
    assert set(v1.controllers) == {"cpu", "cpuacct", "memory", "name=systemd"}
    assert v1.directory("cpuacct", "/a/b") == Path("/sys/fs/cgroup/cpu,cpuacct/a/b")
    assert len(v1.everywhere("/a")) == 3
    v2 = detected(tmp_path, V2)
    assert (v2.mode, v2.directory("memory", "/a")) == ("v2", Path("/sys/fs/cgroup/a"))
    assert v2.hierarchies == ("=/sys/fs/cgroup",)
    hybrid = detected(tmp_path, V1 + V2.replace("cgroup rw,rel", "cgroup/unified rw,rel"))
    assert hybrid.mode == "hybrid"
    assert Path("/sys/fs/cgroup/unified/a") in hybrid.everywhere("/a")
    assert detected(tmp_path, "").mode == "none"
    elsewhere = V2.replace(" /sys/fs/cgroup", " /host/sys/fs/cgroup/unified")
    assert detected(tmp_path, elsewhere + V1).controllers == v1.controllers
    assert detected(tmp_path, elsewhere + V2).unified == Path("/sys/fs/cgroup")


def test_counters_of_v2(layout: Layout, tmp_path: Path) -> None:
    for name, text in {
        "cpu.stat": "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 2\nnr_throttled 1\nthrottled_usec 9\n",
        "memory.current": "100\n",
        "memory.max": "max\n",
        "memory.stat": "anon 60\nfile 40\n",
        "memory.events": "low 0\nmax 3\noom_kill 1\n",
        "pids.current": "2\n",
        "pids.max": "5\n",
        "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0\n",
    }.items():
        (tmp_path / "t" / name).write_text(text)
    stats = read(layout, "/t")
    assert (stats.cpu_total, stats.cpu_user, stats.throttled_time) == (7000, 4000, 9000)
    assert (stats.memory_usage, stats.memory_limit, stats.memory["file"], stats.memory_failures) == (100, -1, 40, 3)
    assert (stats.pids, stats.pids_limit) == (2, 5)
    assert stats.io_bytes == (BlockIo(8, 0, "read", 1), BlockIo(8, 0, "write", 2))
    assert oom_kills((str(tmp_path / "t"),)) == 1


def test_what_is_gone_counts_as_nothing(layout: Layout) -> None:
    assert read(layout, "/gone").cpu_total == 0
    assert oom_kills(("/gone",)) == 0
    assert remove(("/gone",))
    kill_all(("/gone",), 9)


@pytest.mark.root
def test_a_cgroup_is_removed_with_those_below_it_when_nothing_runs_there() -> None:
    directories = [str(directory) for directory in detect().everywhere(f"/test-{os.getpid()}")]
    for directory in directories:
        os.makedirs(f"{directory}/below")
    inside = f"{directories[-1]}/below"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        Path(inside, "cgroup.procs").write_text(f"{process.pid}\n")
        assert not remove(directories)
        assert os.path.isdir(inside)
        process.communicate()
    assert remove(directories)
    assert not any(map(os.path.exists, directories))


def test_processes_in_cgroups_of_the_containers_own_are_its_processes(tmp_path: Path) -> None:
    """An init in a container moves itself and its services below the container's cgroup."""
    service = tmp_path / "t/init/service"
    service.mkdir(parents=True)
    (tmp_path / "t/cgroup.procs").touch()
    sleeper = subprocess.Popen(["sleep", "1000"])
    try:
        (service / "cgroup.procs").write_text(f"{sleeper.pid}\n")
        assert processes(tmp_path / "t") == [sleeper.pid]
        kill_all((str(tmp_path / "t"),), signal.SIGTERM)
        assert sleeper.wait(10) == -signal.SIGTERM
    finally:
        sleeper.kill()
        sleeper.wait()


def test_out_of_memory_is_told_on_v2(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("oom_kill 0\n")
    loop, told = Loop(), []

    def on_oom() -> None:
        told.append(1)
        loop.stop()

    def write(text: str) -> None:
        events.write_text(text)

    watch = OomWatch(loop, (str(tmp_path),), on_oom)
    loop.later(0, lambda: write("max 1\noom_kill 0\n"))
    loop.later(0.05, lambda: write("max 1\noom_kill 1\n"))
    loop.later(10, loop.stop)
    loop.run()
    watch.close()
    watch.close()
    assert told == [1]
