"""macvlan and ipvlan: containers on the link of an interface of the host."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.errors import InvalidInput, Unsupported
from lamina.network.model import EndpointOptions
from lamina.network.networks import Networks
from lamina.store.store import Store
from network.attacks import command
from network.families import V4, V6, Family
from network.hosts import neighbour_of
from network.talk import ask, echo_server, in_namespace
from support.waiting import eventually

pytestmark = pytest.mark.root

_SUBNETS = (
    Subnet(subnet="10.9.0.0/24", gateway=V4.neighbour, ip_range="10.9.0.128/25"),
    Subnet(subnet="2001:db8:9::/64", gateway=V6.neighbour, ip_range="2001:db8:9:0:1::/80"),
)


def _options(driver: str = "macvlan", parent: str = "wire", **options: str) -> NetworkOptions:
    named = {"parent": parent} if parent else {}
    return NetworkOptions(driver=driver, enable_ipv6=True, ipam=Ipam(subnets=_SUBNETS), options=named | options)


def _reached(networks: Networks, sandbox: str, address: str) -> bool:
    try:
        return in_namespace(networks.sandbox(sandbox), lambda: ask(address, 80, timeout=5)) == address
    except OSError:
        return False


@pytest.mark.parametrize("family", [V4, V6], ids=["ipv4", "ipv6"])
def test_containers_are_on_the_link_of_the_parent(networks: Networks, family: Family) -> None:
    neighbour = neighbour_of(networks)
    networks.create("lan", _options())
    one, two = networks.join("one", "lan"), networks.join("two", "lan")

    assert (one.ip, one.gateway, one.ipv6_gateway) == ("10.9.0.128", V4.neighbour, V6.neighbour)
    shown = command("nsenter", f"--net={networks.sandbox('one')}", "ip", "-d", "link", "show", "eth0")
    assert "macvlan mode bridge" in shown
    assert one.mac in shown
    with echo_server(neighbour, family.neighbour, 80), echo_server(networks.sandbox("one"), family.of(one), 80):
        assert _reached(networks, "two", family.neighbour)
        assert _reached(networks, "two", family.of(one))
        assert in_namespace(neighbour, lambda: ask(family.of(one), 80)) == family.of(one)
    assert two.ports == ()


def test_a_container_leaves_the_link_and_comes_back(networks: Networks) -> None:
    neighbour_of(networks)
    networks.create("lan", _options())
    networks.join("one", "bridge")
    first = networks.join("one", "lan", EndpointOptions(ip="10.9.0.200"))

    networks.leave("one", "lan")
    assert "eth1" not in command("nsenter", f"--net={networks.sandbox('one')}", "ip", "link")
    assert networks.join("one", "lan", EndpointOptions(ip="10.9.0.200")).interface == first.interface


def test_a_shared_namespace_does_not_keep_an_address_that_was_left(networks: Networks) -> None:
    """A process that joined the namespace is still there when the sandbox is gone."""
    neighbour_of(networks)
    networks.create("lan", _options())
    first = networks.join("one", "lan")
    with subprocess.Popen(["nsenter", f"--net={networks.sandbox('one')}", "cat"], stdin=subprocess.PIPE) as process:
        own = Path("/proc/self/ns/net").readlink()
        eventually(lambda: Path(f"/proc/{process.pid}/ns/net").readlink() != own)
        networks.leave("one")
        assert "eth0" not in command("nsenter", f"--net=/proc/{process.pid}/ns/net", "ip", "link")
    assert networks.join("two", "lan", EndpointOptions(ip=first.ip)).ip == first.ip


def test_without_a_parent_containers_have_each_other(networks: Networks) -> None:
    network = networks.create("alone", NetworkOptions(driver="macvlan"))
    one = networks.join("one", "alone")
    networks.join("two", "alone")

    assert network.internal
    assert (one.gateway, network.ipam.subnets[0].gateway) == ("", "")
    with echo_server(networks.sandbox("one"), one.ip, 80):
        assert _reached(networks, "two", one.ip)
    for sandbox in ("one", "two"):
        networks.leave(sandbox)
    networks.remove("alone")
    assert network.bridge not in command("ip", "link")


def test_a_network_outlives_the_engine_and_its_parent_does_not_stop_it(
    machine: None, store: Store, exec_root: Path
) -> None:
    command("ip", "link", "add", "wire", "type", "bridge")
    networks = Networks.open(store, exec_root)
    networks.create("lan", _options())
    networks.close()
    assert "wire" in command("ip", "link")

    networks = Networks.open(store, exec_root)
    networks.join("one", "lan")
    networks.leave("one")
    networks.close()
    command("ip", "link", "del", "wire")

    networks = Networks.open(store, exec_root)
    assert networks.get("lan").driver == "macvlan"
    networks.close()


@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_ipvlan_containers_have_each_other(networks: Networks, mode: str) -> None:
    """Run in the machine of tests/machine as well, whose kernel has ipvlan for sure."""
    probes = (
        ["ip", "link", "add", "wire", "type", "dummy"],
        ["ip", "link", "set", "wire", "up"],
        ["ip", "link", "add", "probe", "link", "wire", "type", "ipvlan", "mode", mode],
    )
    if any(subprocess.run(probe, check=False, capture_output=True).returncode for probe in probes):
        pytest.skip("this kernel has no ipvlan")
    command("ip", "link", "delete", "probe")
    networks.create("lan", _options("ipvlan", ipvlan_mode=mode))
    one = networks.join("one", "lan")
    networks.join("two", "lan")

    shown = command("nsenter", f"--net={networks.sandbox('one')}", "ip", "-d", "link", "show", "eth0")
    assert f"ipvlan  mode {mode} bridge" in shown
    with echo_server(networks.sandbox("one"), one.ip, 80):
        assert _reached(networks, "two", one.ip)


def test_ipvlan_routes_by_the_link_or_the_kernels_lack_of_it_is_said(networks: Networks) -> None:
    neighbour_of(networks)
    networks.create("lan", _options("ipvlan", ipvlan_mode="l3"))
    probe = ["ip", "link", "add", "probe", "link", "wire", "type", "ipvlan", "mode", "l3"]
    if subprocess.run(probe, check=False, capture_output=True).returncode == 0:
        assert networks.join("one", "lan").on_link
        assert "default dev eth0" in command("nsenter", f"--net={networks.sandbox('one')}", "ip", "route")
        return
    with pytest.raises(Unsupported, match="this kernel has no interfaces of the kind ipvlan"):
        networks.join("one", "lan")
    assert networks.joined("one") == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (_options(parent="lo"), "loopback interface is not a valid macvlan parent link"),
        (_options(parent="gone"), "invalid parent interface gone: it does not exist"),
        (_options(parent="gone.7"), "failed to find master interface gone"),
        (_options(parent="wire.4095"), "invalid parent interface wire.4095"),
        (_options(macvlan_mode="open"), "requested macvlan mode 'open' is not valid"),
        (
            _options("ipvlan", ipvlan_mode="l7"),
            "requested ipvlan mode 'l7' is not valid, 'l2' mode is the",
        ),
        (_options("ipvlan", ipvlan_flag="x"), "requested ipvlan flag 'x' is not valid"),
    ],
)
def test_what_cannot_be_is_refused(networks: Networks, options: NetworkOptions, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        networks.create("lan", options)
    assert sentence in refusal.value.message
    assert len(networks.list()) == 3


def test_a_bridge_of_the_hosts_own_outlives_the_network(networks: Networks) -> None:
    command("ip", "link", "add", "own", "type", "bridge")
    networks.create("mine", NetworkOptions(options={"com.docker.network.bridge.name": "own"}))

    networks.remove("mine")

    assert "own" in command("ip", "link")


def test_a_parent_that_is_down_does_not_keep_a_container_from_it(networks: Networks) -> None:
    command("ip", "link", "add", "wire", "type", "bridge")
    networks.create("lan", _options())

    assert networks.join("one", "lan").ip == "10.9.0.128"
