"""Routers of containers that are not the host, and neighbours that hear of an address at another MAC."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.errors import InvalidInput
from lamina.network.model import EndpointOptions
from lamina.network.networks import Networks
from lamina.network.settings import NetworkSettings
from lamina.store.store import Store
from network.families import V4, V6, Family
from network.talk import ask, echo_server, in_namespace
from support.waiting import eventually

pytestmark = pytest.mark.root

ROUTERS = NetworkSettings(
    ipv6=True, bip="10.77.0.1/24", bip6="fd77::1/64", default_gateway="10.77.0.254", default_gateway_v6="fd77::fe"
)


def inside(networks: Networks, sandbox: str, *command: str) -> str:
    done = subprocess.run(
        ["nsenter", f"--net={networks.sandbox(sandbox)}", *command], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> NetworkSettings:
    given: NetworkSettings = getattr(request, "param", NetworkSettings())
    return given


@pytest.mark.parametrize("settings", [ROUTERS], indirect=True)
def test_containers_of_the_default_bridge_may_have_another_router(networks: Networks) -> None:
    endpoint = networks.join("one", "bridge")
    assert (endpoint.gateway, endpoint.ipv6_gateway) == ("10.77.0.254", "fd77::fe")
    assert "default via 10.77.0.254" in inside(networks, "one", "ip", "route")
    assert "default via fd77::fe" in inside(networks, "one", "ip", "-6", "route")
    assert tuple(networks.host_gateways("one")) == ("10.77.0.1", "fd77::1"), "which is not the host"
    with pytest.raises(Exception, match="already in use"):
        networks.join("two", "bridge", EndpointOptions(ip="10.77.0.254"))


def test_a_network_may_name_its_router_too(networks: Networks) -> None:
    subnet = Subnet(subnet="10.78.0.0/24", reserved={"DefaultGatewayIPv4": "10.78.0.9", "printer": "10.78.0.2"})
    networks.create("own", NetworkOptions(ipam=Ipam(subnets=(subnet,))))
    endpoint = networks.join("one", "own")
    assert (endpoint.ip, endpoint.gateway) == ("10.78.0.3", "10.78.0.9")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (NetworkSettings(default_gateway="10.77.0.254"), "no IPv4 subnet for the default gateway 10.77.0.254"),
        (NetworkSettings(bip="10.77.0.1/24", default_gateway="10.9.0.1"), "DefaultGatewayIPv4"),
        (NetworkSettings(bip="10.77.0.1/24", default_gateway="nowhere"), "invalid IP address 'nowhere'"),
    ],
)
def test_a_router_outside_is_refused(
    machine: None, store: Store, exec_root: Path, settings: NetworkSettings, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        Networks.open(store, exec_root, settings)


@pytest.mark.parametrize("family", [V4, V6], ids=["ipv4", "ipv6"])
def test_neighbours_hear_of_an_address_at_another_mac(networks: Networks, family: Family) -> None:
    networks.create("net", family.fixed())
    fixed = "10.44.0.50" if family is V4 else "fd44::50"
    networks.join("asker", "net")

    def at(mac: str) -> None:
        asked = EndpointOptions(ip=fixed, mac=mac) if family is V4 else EndpointOptions(ipv6=fixed, mac=mac)
        networks.join("holder", "net", asked)

    def known() -> str:
        return inside(networks, "asker", "ip", f"-{family.version}", "neigh", "show", fixed)

    at("02:42:00:00:00:01")
    with echo_server(networks.sandbox("holder"), fixed, 80):
        assert in_namespace(networks.sandbox("asker"), lambda: ask(fixed, 80)) == fixed
    assert "02:42:00:00:00:01" in known()
    networks.leave("holder")
    at("02:42:00:00:00:02")
    assert eventually(lambda: "02:42:00:00:00:02" in known()), "though nobody asked"
