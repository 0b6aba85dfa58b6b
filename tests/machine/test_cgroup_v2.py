"""Limits, counters, devices and namespaces where cgroup v2 is all there is, as the kernel itself shows them."""

from __future__ import annotations

import json

import pytest

from .conftest import Engine

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]

GROUP = "/sys/fs/cgroup/lamina"
both_programs = pytest.mark.parametrize("program", ["crun", "runc"])


def test_the_engine_tells_the_version(engine: Engine) -> None:
    assert engine.text("info", "--format", "{{.CgroupVersion}} {{.CgroupDriver}}") == "2 cgroupfs"


@both_programs
def test_a_container_is_held_to_its_limits_and_sees_only_its_own_group(engine: Engine, program: str) -> None:
    limits = ("--memory", "64m", "--memory-swap", "96m", "--cpus", "0.5", "--pids-limit", "50", "--cpu-shares", "512")
    disk = ("--device-write-bps", "/dev/ubda:1mb")
    script = (
        "cat /proc/self/cgroup; cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max pids.max cpu.weight io.max;"
        "touch x 2>/dev/null || echo closed"
    )
    shown = engine.output("--runtime", program, *limits, *disk, script=script).splitlines()
    weight = "20"  # of 512 shares: 1 + (512 - 2) * 9999 / 262142 (runc, ConvertCPUSharesToCgroupV2Value)
    rates = "98:0 rbps=max wbps=1048576 riops=max wiops=max"
    assert [line.strip() for line in shown] == [
        "0::/",
        "67108864",
        "33554432",
        "50000 100000",
        "50",
        weight,
        rates,
        "closed",
    ]


@both_programs
def test_devices_are_opened_only_as_they_were_given(engine: Engine, program: str) -> None:
    """On cgroup v2 a BPF program decides (cgroup-v2.rst, "Device controller")."""
    script = (
        "head -c 4 /dev/given | wc -c; dd if=/dev/null of=/dev/given 2>&1;"
        "mknod /dev/made b 98 16 && head -c 1 /dev/made 2>&1; head -c 2 /dev/zero | wc -c"
    )
    shown = engine.output("--runtime", program, "--device", "/dev/ubda:/dev/given:r", script=script).splitlines()
    assert [line.rpartition(": ")[2] for line in shown] == ["4", *["Operation not permitted"] * 2, "2"]


def test_an_init_that_moves_below_its_group_is_counted_limited_paused_and_ended(engine: Engine) -> None:
    """What systemd or another engine in a container does: groups of its own, with controllers handed on."""
    script = (
        "cd /sys/fs/cgroup; mkdir init; echo 1 > init/cgroup.procs; echo +memory > cgroup.subtree_control;"
        "sleep 1000 & echo moved; wait"
    )
    id = engine.start("--name", "init", "--privileged", script=script)
    group = f"{GROUP}/{id}"
    engine.guest.run("sh", "-c", f"until grep -q '^[0-9]' {group}/init/cgroup.procs; do :; done")

    assert engine.text("exec", "init", "cat", "/proc/self/cgroup") == "0::/init"
    engine("update", "--memory", "64m", "--memory-swap", "64m", "--pids-limit", "30", "init")
    assert engine.guest.run("cat", f"{group}/memory.max", f"{group}/pids.max").output.split() == ["67108864", "30"]
    counters = json.loads(engine.text("stats", "--no-stream", "--format", "json", "init"))
    assert counters["MemUsage"].endswith("/ 64MiB")
    assert int(counters["PIDs"]) == 2

    engine("pause", "init")
    assert "frozen 1" in engine.guest.run("cat", f"{group}/init/cgroup.events").output
    engine("unpause", "init")
    engine("rm", "-f", "init")
    assert not engine.guest.run("find", GROUP, "-mindepth", "1", "-type", "d").output


def test_a_container_out_of_memory_is_told_as_such(engine: Engine) -> None:
    engine.start("--name", "hungry", "--memory", "24m", script="head -c 200m /dev/zero | tail")
    assert engine.text("wait", "hungry") == "137"
    assert engine.text("inspect", "-f", "{{.State.OOMKilled}}", "hungry") == "true"
    assert engine.text("events", "--since", "1h", "--until", "0s", "--filter", "event=oom").count("oom") == 1
    engine("rm", "hungry")
