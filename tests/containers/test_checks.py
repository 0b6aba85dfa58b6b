"""What a request may not ask, and what a machine cannot give."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lamina.api.containers import (
    Config,
    EndpointConfig,
    HostConfig,
    LogConfig,
    NetworkingConfig,
    RateDevice,
    RestartPolicy,
    decode,
)
from lamina.containers.checks import check, check_request, check_runtime
from lamina.errors import InvalidInput
from lamina.formats.runconfig import Healthcheck
from lamina.runtime.cgroups.layout import Abilities
from lamina.sandbox.limit_checks import within

HOST = HostConfig(log_config=LogConfig("json-file"))


@pytest.mark.parametrize(
    ("host", "config", "words"),
    [
        ({"memory": 5 << 20}, {}, "Minimum memory limit allowed is 6MB"),
        ({"memory": 8 << 20, "memory_swap": 7 << 20}, {}, "memoryswap limit should be larger"),
        ({"memory_swap": 7 << 20}, {}, "always set the Memory limit"),
        ({"memory_reservation": 5 << 20}, {}, "Minimum memory reservation"),
        ({"memory": 8 << 20, "memory_reservation": 9 << 20}, {}, "can not be less than memory reservation"),
        ({"memory_swappiness": 101}, {}, "range is 0-100"),
        ({"nano_cpus": 1 << 60}, {}, "range of CPUs is from 0.01 to"),
        ({"nano_cpus": 1, "cpu_quota": 5000}, {}, "Conflicting options: Nano CPUs"),
        ({"cpu_period": 5}, {}, "CPU cfs period"),
        ({"cpu_quota": 5}, {}, "CPU cfs quota"),
        ({"cpu_shares": -1}, {}, "invalid CPU shares"),
        ({"cpuset_cpus": "0,5000"}, {}, "Requested CPUs are not available - requested 0,5000"),
        ({"cpuset_cpus": "0-x"}, {}, "Invalid value 0-x"),
        ({"cpuset_mems": "99"}, {}, "Requested memory nodes are not available"),
        ({"blkio_weight": 5}, {}, "Range of blkio weight"),
        ({"oom_score_adj": 1001}, {}, "range for oom score adj"),
        ({"shm_size": -1}, {}, "SHM size"),
        ({"pid_mode": "other"}, {}, "invalid PID mode: other"),
        ({"ipc_mode": "container:"}, {}, "invalid IPC mode"),
        ({"uts_mode": "container:x"}, {}, "invalid UTS mode"),
        ({"cgroupns_mode": "x"}, {}, "invalid cgroup namespace mode"),
        ({"isolation": "hyperv"}, {}, "invalid isolation"),
        ({"restart_policy": RestartPolicy("always", 3)}, {}, "maximum retry count"),
        ({"restart_policy": RestartPolicy("on-failure", -3)}, {}, "cannot be negative"),
        ({"log_config": LogConfig("fluentd")}, {}, "no log driver named 'fluentd' is registered"),
        ({"log_config": LogConfig("json-file", {"colour": "red"})}, {}, "unknown log opt 'colour' for json-file"),
        ({"log_config": LogConfig("json-file", {"max-size": "much"})}, {}, 'invalid max-size "much"'),
        ({"dns": ("1.1.1.1", "names")}, {}, "'names' is no IP address"),
        ({"extra_hosts": ("alone",)}, {}, "bad format for add-host"),
        ({"storage_opt": {"size": "1m"}}, {}, "--storage-opt is not supported"),
        ({"security_opt": ("label=type:t",)}, {}, "label=type:t cannot be applied"),
        ({"security_opt": ("systempaths=unconfined",)}, {}, "invalid --security-opt"),
        ({}, {"hostname": "h" * 65}, "too long"),
        ({}, {"env": ("=x",)}, "invalid environment variable: =x"),
        ({"annotations": {"": "x"}}, {}, "empty string is not permitted as an annotation key"),
        ({}, {"stop_signal": "SIGNOTHING"}, "Invalid signal: SIGNOTHING"),
        ({}, {"healthcheck": Healthcheck(interval=5)}, "Interval in Healthcheck cannot be less than 1ms"),
        ({}, {"healthcheck": Healthcheck(retries=-1)}, "Retries in Healthcheck"),
    ],
)
def test_what_cannot_be_is_refused(host: dict[str, Any], config: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check(msgspec.structs.replace(HOST, **host), Config(**config))


def test_what_can_be_is_not() -> None:
    host = {
        "pid_mode": "container:x",
        "ipc_mode": "none",
        "memory_swap": -1,
        "cpuset_cpus": "0",
        "isolation": "default",
    }
    check(msgspec.structs.replace(HOST, **host), Config(hostname="h" * 64, healthcheck=Healthcheck(interval=1_000_000)))


@pytest.mark.parametrize(
    ("host", "config", "words"),
    [
        ({}, {"hostname": "x"}, "hostname and the network mode"),
        ({}, {"mac_address": "02:42:ac:11:00:02"}, "mac-address and the network mode"),
        ({"dns": ("1.1.1.1",)}, {}, "dns and the network mode"),
        ({"links": ("a:b",)}, {}, "can't be used with links"),
        ({"extra_hosts": ("a:1.2.3.4",)}, {}, "custom host-to-IP mapping"),
        ({"publish_all_ports": True}, {}, "port publishing and the container type network mode"),
        ({}, {"exposed_ports": {"80/tcp": {}}}, "port exposing and the container type network mode"),
        ({"network_mode": "container:"}, {}, "invalid container format"),
        ({"network_mode": "host", "links": ("a:b",)}, {}, "host type networking can't be used with links"),
        ({"network_mode": "bridge", "uts_mode": "host"}, {"hostname": "x"}, "hostname and the UTS mode"),
    ],
)
def test_contradictions_are_refused(host: dict[str, Any], config: dict[str, Any], words: str) -> None:
    chosen = HostConfig(**{"network_mode": "container:other", **host})
    with pytest.raises(InvalidInput, match=f"^(conflicting options|invalid network mode): .*{words}"):
        check_request(chosen, Config(**config), NetworkingConfig())


def test_addresses_are_chosen_in_networks_of_ones_own() -> None:
    place = decode({"IPAMConfig": {"IPv4Address": "172.17.0.9"}}, EndpointConfig)
    check_request(HostConfig(network_mode="mine"), Config(), NetworkingConfig({"mine": place}))
    with pytest.raises(InvalidInput, match="user specified IP address"):
        check_request(HostConfig(), Config(), NetworkingConfig({"default": place}))


def test_limits_that_a_machine_cannot_keep_are_left_out_with_a_warning() -> None:
    asked = HostConfig(
        memory=64 << 20, memory_swap=128 << 20, blkio_weight=300, memory_swappiness=5, nano_cpus=1, pids_limit=7,
        blkio_device_read_bps=(RateDevice("/dev/x", 5),),
    )  # fmt: skip
    assert within(asked, Abilities()) == (asked, ())
    able = Abilities(swap=False, io_weight=False, swappiness=False, cpu_quota=False, io_throttle=False)
    host, warnings = within(asked, able)
    assert host == HostConfig(memory=64 << 20, memory_swap=-1, pids_limit=7)
    assert len(warnings) == 5
    assert all("Your kernel does not support" in warning for warning in warnings)
    without = within(asked, Abilities(memory=False))[0]
    assert (without.memory, without.memory_swap) == (0, -1)


def test_runtimes_have_names() -> None:
    for name in ("", "crun", "runc", "mine"):
        check_runtime(name, "crun", ("mine",))
    with pytest.raises(InvalidInput, match="unknown or invalid runtime name: kata"):
        check_runtime("kata", "crun", ())


def test_members_are_spelled_in_any_case() -> None:
    assert decode({"networkMode": "none", "NETWORKMODE": "host"}, HostConfig).network_mode in ("none", "host")
    assert decode({"networkMode": "none", "NetworkMode": "host"}, HostConfig).network_mode == "host"
