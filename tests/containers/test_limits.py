"""Limits of a container and their end: what is written into its cgroup."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.api.containers import HostConfig, UpdateConfig
from lamina.runtime.cgroups.layout import abilities, detect
from support.programs import need

from .conftest import Rooms

pytestmark = pytest.mark.root


@pytest.fixture(params=["crun", "runc"])
def program(request: pytest.FixtureRequest) -> str:
    return need(str(request.param))


FILES = {  # name → (file of cgroup v1, its file of v2, and what "no limit" looks like in each)
    "pids": ("pids/{}/pids.max", "{}/pids.max", "max", "max"),
    "quota": ("cpu/{}/cpu.cfs_quota_us", "{}/cpu.max", "-1", "max 100000"),
    "memory": ("memory/{}/memory.limit_in_bytes", "{}/memory.max", "9223372036854771712", "max"),
    "swap": ("memory/{}/memory.memsw.limit_in_bytes", "{}/memory.swap.max", "9223372036854771712", "max"),
}


def limit(id: str, name: str) -> str:
    """What the kernel holds the container to; "none" for no limit."""
    first, second, none_1, none_2 = FILES[name]
    v2 = detect().v2
    path = Path("/sys/fs/cgroup") / (second if v2 else first).format(f"lamina/{id}")
    value = path.read_text().strip()
    return "none" if value == (none_2 if v2 else none_1) else value


@pytest.mark.parametrize("limits", [0, -1, -2])
def test_a_pids_limit_is_lifted(rooms: Rooms, limits: int) -> None:
    id = rooms.run("exec sleep 300", host=HostConfig(network_mode="none", pids_limit=77))
    assert limit(id, "pids") == "77"
    rooms.containers.update(id, UpdateConfig(pids_limit=limits))
    assert limit(id, "pids") == "none"
    rooms.containers.update(id, UpdateConfig(memory=64 << 20, memory_swap=128 << 20))
    assert limit(id, "pids") == "none"
    assert rooms.containers.get(id).host_config.pids_limit == 0


@pytest.mark.parametrize("limits", [0, -1, -2, None])
def test_a_container_is_made_without_a_pids_limit(rooms: Rooms, limits: int | None) -> None:
    id = rooms.run("exec sleep 300", host=HostConfig(network_mode="none", pids_limit=limits))
    assert limit(id, "pids") == "none"
    assert rooms.containers.get(id).host_config.pids_limit is None


def test_a_cpu_quota_is_lifted(rooms: Rooms) -> None:
    id = rooms.run("exec sleep 300", host=HostConfig(network_mode="none", cpu_quota=50_000))
    assert limit(id, "quota").startswith("50000")
    rooms.containers.update(id, UpdateConfig(cpu_quota=0))  # says nothing
    assert limit(id, "quota").startswith("50000")
    rooms.containers.update(id, UpdateConfig(cpu_quota=-1))
    assert limit(id, "quota") == "none"


@pytest.mark.parametrize("quota", [0, -1])
def test_a_container_is_made_without_a_cpu_quota(rooms: Rooms, quota: int) -> None:
    id = rooms.run("exec sleep 300", host=HostConfig(network_mode="none", cpu_quota=quota))
    assert limit(id, "quota") == "none"


def test_swap_is_lifted(rooms: Rooms) -> None:
    host = HostConfig(network_mode="none", memory=64 << 20, memory_swap=128 << 20)
    id = rooms.run("exec sleep 300", host=host)
    if rooms.containers.get(id).record.host_config.memory_swap == -1:
        pytest.skip("this machine cannot limit swap")
    rooms.containers.update(id, UpdateConfig(memory_swap=-1))
    assert (limit(id, "memory"), limit(id, "swap")) == (str(64 << 20), "none")
    assert rooms.containers.get(id).host_config.memory_swap == -1


def test_a_container_is_made_without_a_swap_limit(rooms: Rooms) -> None:
    host = HostConfig(network_mode="none", memory=64 << 20, memory_swap=-1)
    id = rooms.run("exec sleep 300", host=host)
    assert limit(id, "memory") == str(64 << 20)


def test_what_the_machine_cannot_limit_is_left_out_of_an_update(rooms: Rooms) -> None:
    """As at creation there is a warning, and the container runs on (moby daemon/update.go, verifyContainerSettings)."""
    able = abilities(rooms.runtime.layout)
    id = rooms.run("exec sleep 300")
    warnings = rooms.containers.update(id, UpdateConfig(blkio_weight=300, cpu_shares=512))
    assert bool(warnings) is not able.io_weight
    host = rooms.containers.get(id).host_config
    assert (host.blkio_weight, host.cpu_shares) == (300 if able.io_weight else 0, 512)
