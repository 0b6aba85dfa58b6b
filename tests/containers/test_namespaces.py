"""Namespaces of containers: their own, the host's, and those of others."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from lamina.api.containers import Config, HostConfig
from lamina.containers.containers import Containers
from lamina.errors import CommandFailed, Conflict, InvalidInput, LaminaError
from lamina.sandbox.spec import Defaults

from .conftest import Rooms

pytestmark = pytest.mark.root


def joining(**modes: Any) -> HostConfig:
    return HostConfig(network_mode="none", **modes)


@pytest.mark.parametrize("field", ["pid_mode", "ipc_mode"])
def test_an_unknown_donor_is_refused_when_the_container_is_made(rooms: Rooms, field: str) -> None:
    with pytest.raises(InvalidInput, match=r"^No such container: nobody$"):
        rooms.create("true", host=joining(**{field: "container:nobody"}))


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("pid_mode", "failed to join PID namespace: container {id} is not running"),
        ("ipc_mode", "failed to join IPC namespace: container {id} is not running"),
        ("network_mode", "failed to join network namespace: container {id} is not running"),
    ],
)
def test_a_stopped_donor_is_named_with_the_namespace_at_the_start(rooms: Rooms, field: str, words: str) -> None:
    donor = rooms.create("true", name="donor", host=joining(ipc_mode="shareable"))
    modes: dict[str, Any] = {"network_mode": "none", field: "container:donor"}
    host = HostConfig(**modes)
    joiner = rooms.create("true", host=host)
    assert rooms.containers.get(joiner).host_config
    assert getattr(rooms.containers.get(joiner).record.host_config, field) == f"container:{donor}"
    with pytest.raises(Conflict if field == "network_mode" else CommandFailed) as raised:
        rooms.containers.start(joiner)
    assert raised.value.message == words.format(id=donor)


def test_a_donor_keeps_its_ipc_to_itself_unless_it_shares(rooms: Rooms) -> None:
    rooms.run("sleep 300", name="private")
    joiner = rooms.create("true", host=joining(ipc_mode="container:private"))
    with pytest.raises(InvalidInput, match=r"failed to join IPC namespace: .* non-shareable IPC"):
        rooms.containers.start(joiner)


def test_processes_and_memory_are_shared(rooms: Rooms) -> None:
    donor = rooms.run("echo x > /dev/shm/f; exec sleep 300", host=joining(ipc_mode="shareable"))
    host = joining(pid_mode=f"container:{donor}", ipc_mode=f"container:{donor}")
    script = "until test -e /dev/shm/f; do :; done; cat /dev/shm/f; tr '\\0' ' ' < /proc/1/cmdline"
    assert rooms.output(rooms.run(script, host=host)).startswith("x\nsleep 300")


def test_ipc_mode_none_has_no_shared_memory(rooms: Rooms) -> None:
    script = "ls -d /dev/shm 2>/dev/null || echo none; grep -c /dev/shm /proc/mounts"
    assert rooms.output(rooms.run(script, host=joining(ipc_mode="none"))) == "none\n0\n"
    assert rooms.output(rooms.run(script, host=joining())) == "/dev/shm\n1\n"


def test_the_default_ipc_mode_is_the_engines(rooms: Rooms) -> None:
    defaults = replace(Defaults(), ipc_mode="shareable")
    containers = Containers(rooms, rooms.catalog, defaults)
    try:
        made = containers.create(None, Config(image="bb", cmd=("true",)), joining()).id
        assert containers.get(made).host_config.ipc_mode == "shareable"
        containers.remove(made)
    finally:
        containers.close()


@pytest.mark.parametrize("mode", ["host", "private"])
def test_the_default_cgroup_namespace_is_the_engines(rooms: Rooms, mode: str) -> None:
    containers = Containers(rooms, rooms.catalog, replace(Defaults(), cgroupns_mode=mode))
    try:
        made = containers.create(None, Config(image="bb", cmd=("sleep", "300")), joining()).id
        containers.start(made)
        shown = containers.get(made)
        own = os.readlink(f"/proc/{shown.state.pid}/ns/cgroup") == os.readlink("/proc/self/ns/cgroup")
        assert (shown.host_config.cgroupns_mode, own) == (mode, mode == "host")
        containers.remove(made, force=True)
    finally:
        containers.close()


@pytest.mark.parametrize(
    ("sysctls", "modes"),
    [
        ({"kernel.panic": "7"}, {}),
        ({"kernel.core_pattern": "|/x"}, {"network_mode": "none"}),
        ({"vm.overcommit_memory": "1"}, {}),
        ({"fs.file-max": "99"}, {}),
        ({"kernel.hostname": "x"}, {}),
        ({"net.ipv4.ip_forward": "1"}, {"network_mode": "host"}),
        ({"net/ipv4/ip_forward": "1"}, {"network_mode": "host"}),
        ({"kernel.shmmax": "99"}, {"ipc_mode": "host"}),
        ({"kernel/msgmax": "99"}, {"ipc_mode": "host"}),
        ({"fs.mqueue.msg_max": "99"}, {"ipc_mode": "host"}),
        ({"kernel.domainname": "x"}, {"uts_mode": "host"}),
        ({"net.ipv4.ip_forward": "1"}, {"network_mode": "container:donor"}),
        ({"kernel.sem": "1 2 3 4"}, {"ipc_mode": "container:donor"}),
        ({"net.ipv4/../../../kernel/panic": "7"}, {}),
        ({"net/ipv4/../../kernel/panic": "7"}, {}),
        ({"net..kernel": "7"}, {}),
        ({"": "7"}, {}),
        ({"net": "7"}, {}),
    ],
)
def test_sysctls_stay_in_the_containers_own_namespaces(
    rooms: Rooms, sysctls: dict[str, str], modes: dict[str, Any]
) -> None:
    rooms.run("sleep 300", name="donor", host=joining(ipc_mode="shareable"))
    host = HostConfig(sysctls=sysctls, privileged=True, **{"network_mode": "none", **modes})
    with pytest.raises(LaminaError, match=r"^sysctl ") as raised:
        rooms.create("true", host=host)
    assert isinstance(raised.value, InvalidInput)


def test_sysctls_of_own_namespaces_are_set(rooms: Rooms) -> None:
    sysctls = {
        "net.ipv4.ip_forward": "1",
        "kernel.shmmax": "12345678",
        "kernel/msgmax": "4321",
        "fs.mqueue.msg_max": "9",
    }
    host = HostConfig(network_mode="none", sysctls=sysctls)
    script = "cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmax kernel/msgmax fs/mqueue/msg_max"
    assert rooms.output(rooms.run(script, host=host)) == "1\n12345678\n4321\n9\n"


def test_a_shared_network_keeps_the_sysctls_of_its_container(rooms: Rooms) -> None:
    donor = rooms.run(
        "sleep 300", host=HostConfig(network_mode="none", sysctls={"net.ipv4.ip_unprivileged_port_start": "555"})
    )
    joiner = HostConfig(network_mode=f"container:{donor}")
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    assert rooms.output(rooms.run(script, host=joiner)) == "555\n"
