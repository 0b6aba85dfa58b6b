"""What IPv6 adds to networks: addresses, ways out, published ports, and what hostile containers make of it."""

from __future__ import annotations

from ipaddress import IPv6Network
from pathlib import Path

import pytest

from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.errors import Forbidden, InvalidInput
from lamina.network.model import Endpoint, EndpointOptions, PortBinding
from lamina.network.networks import Networks
from lamina.network.settings import NetworkSettings
from lamina.store.store import Store
from network.attacks import Wire, command, router_advertisement
from network.families import V6
from network.hosts import neighbour_of
from network.talk import ask, echo_server, in_namespace

pytestmark = pytest.mark.root

_BOTH = NetworkOptions(enable_ipv6=True)
_SILENCE = 0.3  # seconds in which an answer would have come: on one machine it takes less than one millisecond
_ALONE = NetworkOptions(enable_ipv4=False, enable_ipv6=True)


def _published(proto: str = "tcp", host_ip: str = "") -> EndpointOptions:
    return EndpointOptions(ports=(PortBinding(container_port=80, proto=proto, host_ip=host_ip),))


def _inside(networks: Networks, sandbox: str, *words: str) -> str:
    return command("nsenter", f"--net={networks.sandbox(sandbox)}", *words)


def _reached(networks: Networks, sandbox: str, address: str, *, timeout: float = 5) -> bool:
    try:
        return in_namespace(networks.sandbox(sandbox), lambda: ask(address, 80, timeout=timeout)) == address
    except OSError:
        return False


def test_a_network_without_subnets_gets_unique_local_ones(networks: Networks) -> None:
    first, second = networks.create("one", _BOTH), networks.create("two", _BOTH)

    subnets = [IPv6Network(network.ipam.subnets[1].subnet) for network in (first, second)]
    assert all(subnet.subnet_of(IPv6Network("fd00::/8")) and subnet.prefixlen == 64 for subnet in subnets)
    assert subnets[0] != subnets[1]
    assert subnets[0].supernet(new_prefix=48) == subnets[1].supernet(new_prefix=48)  # the engine's (RFC 4193)


def test_a_container_has_address_and_route_at_once(networks: Networks) -> None:
    networks.create("mine", _BOTH)

    endpoint = networks.join("one", "mine")

    addresses = _inside(networks, "one", "ip", "-6", "addr", "show", "dev", "eth0")
    assert f"{endpoint.ipv6}/64 scope global nodad" in addresses
    assert f"default via {endpoint.ipv6_gateway} dev eth0" in _inside(networks, "one", "ip", "-6", "route")
    with echo_server(networks.sandbox("one"), endpoint.ipv6, 80):
        assert ask(endpoint.ipv6, 80) == endpoint.ipv6


def test_a_network_may_have_ipv6_alone(networks: Networks) -> None:
    networks.create("mine", _ALONE)
    endpoint, other = networks.join("one", "mine", _published()), networks.join("two", "mine")

    assert (endpoint.ip, endpoint.gateway, endpoint.prefix) == ("", "", 0)
    assert endpoint.mac != other.mac
    assert "inet " not in _inside(networks, "one", "ip", "addr", "show", "dev", "eth0")
    assert [port.host_ip for port in endpoint.ports] == ["::"]
    with echo_server(networks.sandbox("one"), endpoint.ipv6, 80):
        assert _reached(networks, "two", endpoint.ipv6)
        assert ask("::1", endpoint.ports[0].host_port) == endpoint.ipv6


@pytest.mark.parametrize("proto", ["tcp", "udp"])
@pytest.mark.parametrize("host_ip", ["", V6.host, f"[{V6.host}]"])
def test_a_published_port_is_reached_from_another_machine(networks: Networks, proto: str, host_ip: str) -> None:
    neighbour = neighbour_of(networks)
    networks.create("mine", _BOTH)
    endpoint = networks.join("one", "mine", _published(proto, host_ip))

    with echo_server(networks.sandbox("one"), endpoint.ipv6, 80, udp=proto == "udp"):
        port = endpoint.ports[-1].host_port
        assert in_namespace(neighbour, lambda: ask(V6.host, port, udp=proto == "udp")) == endpoint.ipv6


def test_a_container_goes_out_under_the_address_of_the_host(networks: Networks) -> None:
    neighbour = neighbour_of(networks)
    command("nsenter", f"--net={neighbour}", "ip", "-6", "route", "del", "default")
    networks.create("mine", _ALONE)
    networks.join("one", "mine")

    with echo_server(neighbour, V6.neighbour, 80):
        assert _reached(networks, "one", V6.neighbour)


def test_fixed_addresses_are_kept(networks: Networks) -> None:
    subnets = (Subnet(subnet="10.44.0.0/24"), Subnet(subnet="fd44::/64", gateway="fd44::fe", ip_range="fd44::ff00/120"))
    networks.create("mine", NetworkOptions(enable_ipv6=True, ipam=Ipam(subnets=subnets)))

    given = networks.join("one", "mine", EndpointOptions(ipv6="fd44::5", link_local_ips=("169.254.9.9", "fe80::5")))
    chosen = networks.join("two", "mine")

    assert (given.ip, given.ipv6, given.ipv6_gateway) == ("10.44.0.2", "fd44::5", "fd44::fe")
    assert chosen.ipv6 == "fd44::ff00"
    shown = _inside(networks, "one", "ip", "addr", "show", "dev", "eth0")
    assert "169.254.9.9/32 scope link" in shown
    assert "fe80::5/64 scope link nodad" in shown
    with pytest.raises(InvalidInput, match="only when connecting to networks with user configured subnets"):
        networks.join("three", "bridge", EndpointOptions(ipv6="fd44::5"))
    assert networks.joined("three") == []


def test_the_way_out_of_each_family_is_found_anew(networks: Networks) -> None:
    networks.create("six", _ALONE)
    networks.create("both", _BOTH)
    networks.join("one", "bridge")
    six = networks.join("one", "six")
    assert f"default via {six.ipv6_gateway} dev eth1" in _inside(networks, "one", "ip", "-6", "route")

    both = networks.join("one", "both")
    assert f"default via {both.gateway} dev eth2" in _inside(networks, "one", "ip", "route")
    assert f"default via {both.ipv6_gateway} dev eth2" in _inside(networks, "one", "ip", "-6", "route")

    networks.leave("one", "both")
    assert "default via 172.17.0.1 dev eth0" in _inside(networks, "one", "ip", "route")
    assert f"default via {six.ipv6_gateway} dev eth1" in _inside(networks, "one", "ip", "-6", "route")


def test_the_default_bridge_follows_the_settings(machine: None, store: Store, exec_root: Path) -> None:
    Networks.open(store, exec_root).close()

    networks = Networks.open(store, exec_root, NetworkSettings(ipv6=True, fixed_cidr_v6="2001:db8:1::/64"))
    assert networks.join("one", "bridge").ipv6 == "2001:db8:1::2"
    networks.leave("one")
    networks.close()

    networks = Networks.open(store, exec_root)
    assert networks.join("one", "bridge").ipv6 == ""
    networks.leave("one")
    networks.close()


def test_forwarding_does_not_stop_the_host_from_listening_to_its_routers(networks: Networks) -> None:
    command("ip", "link", "add", "uplink", "type", "bridge")
    command("sysctl", "-q", "-w", "net.ipv6.conf.uplink.accept_ra=1")

    networks.create("mine", _BOTH)

    assert command("sysctl", "-n", "net.ipv6.conf.all.forwarding") == "1\n"
    assert command("sysctl", "-n", "net.ipv6.conf.uplink.accept_ra") == "2\n"


def test_networks_without_ipv6_carry_none(networks: Networks) -> None:
    """A container may give itself an address, and the administrator the bridge; no rule lets its packets pass."""
    networks.create("mine", _BOTH)
    victim = networks.join("one", "mine")
    networks.join("two", "bridge")
    bridge = networks.get("bridge").bridge
    command("sysctl", "-q", "-w", f"net.ipv6.conf.{bridge}.disable_ipv6=0")
    command("ip", "addr", "add", "fd99::1/64", "dev", bridge, "nodad")
    _inside(networks, "two", "sysctl", "-q", "-w", "net.ipv6.conf.eth0.disable_ipv6=0")
    _inside(networks, "two", "ip", "addr", "add", "fd99::2/64", "dev", "eth0", "nodad")
    _inside(networks, "two", "ip", "-6", "route", "add", "default", "via", "fd99::1", "dev", "eth0")
    neighbour = neighbour_of(networks)

    with echo_server(networks.sandbox("one"), victim.ipv6, 80), echo_server(None, "fd99::1", 80):
        assert _reached(networks, "two", "fd99::1")
        assert not _reached(networks, "two", victim.ipv6, timeout=_SILENCE)
    with echo_server(neighbour, V6.neighbour, 80):
        assert not _reached(networks, "two", V6.neighbour, timeout=_SILENCE)


def _advertised(networks: Networks, liar: Endpoint, victim: Endpoint) -> None:
    """Send an advertisement, and then talk to the victim: what was sent before has been seen by everybody."""
    Wire(networks.sandbox(liar.sandbox_id)).send(router_advertisement(liar.mac, "2001:db8:bad::"))
    with echo_server(networks.sandbox(victim.sandbox_id), victim.ipv6, 80):
        assert _reached(networks, liar.sandbox_id, victim.ipv6)
        assert ask(victim.ipv6, 80) == victim.ipv6


def test_a_router_advertisement_changes_nothing_for_host_and_neighbours(networks: Networks) -> None:
    networks.create("mine", _BOTH)
    liar, victim = networks.join("one", "mine"), networks.join("two", "mine")
    before = command("ip", "-6", "route")

    _advertised(networks, liar, victim)

    assert command("ip", "-6", "route") == before
    for shown in (command("ip", "-6", "addr"), _inside(networks, "two", "ip", "-6", "addr")):
        assert "2001:db8:bad" not in shown
    routes = _inside(networks, "two", "ip", "-6", "route", "show", "default")
    assert routes.count("default") == 1
    assert "fe80::bad" not in routes


def test_an_address_is_given_out_once(networks: Networks) -> None:
    networks.create("mine", V6.fixed())
    first = networks.join("one", "mine", EndpointOptions(ipv6="fd44::9"))

    with pytest.raises(Forbidden, match="Address already in use"):
        networks.join("two", "mine", EndpointOptions(ipv6="FD44:0::9"))
    networks.leave("one")
    assert networks.join("two", "mine", EndpointOptions(ipv6="fd44::9")).ipv6 == first.ipv6


def test_a_firewall_that_drops_by_default_lets_our_bridges_pass(machine: None, store: Store, exec_root: Path) -> None:
    command("ip6tables", "-P", "FORWARD", "DROP")
    networks = Networks.open(store, exec_root)
    networks.create("mine", _BOTH)
    neighbour = neighbour_of(networks)
    endpoint = networks.join("one", "mine", _published())

    with echo_server(networks.sandbox("one"), endpoint.ipv6, 80), echo_server(neighbour, V6.neighbour, 80):
        assert in_namespace(neighbour, lambda: ask(V6.host, endpoint.ports[0].host_port)) == endpoint.ipv6
        assert _reached(networks, "one", V6.neighbour)
    networks.leave("one")
    networks.remove("mine")
    networks.leave("neighbour")
    networks.close()
    assert "lam" not in command("ip6tables", "-S")


def test_a_container_reaches_its_own_published_port_through_the_host(networks: Networks) -> None:
    neighbour_of(networks)
    networks.create("mine", _BOTH)
    networks.create("apart", _BOTH)
    endpoint = networks.join("one", "mine", _published())
    for sandbox, network in (("two", "mine"), ("three", "apart")):
        networks.join(sandbox, network)

    with echo_server(networks.sandbox("one"), endpoint.ipv6, 80):
        port = endpoint.ports[-1].host_port
        for sandbox in ("one", "two", "three"):
            assert in_namespace(networks.sandbox(sandbox), lambda: ask(V6.host, port)) == endpoint.ipv6


def test_the_default_bridge_may_have_an_address_of_choice(machine: None, store: Store, exec_root: Path) -> None:
    settings = NetworkSettings(ipv6=True, bip6="fd77::fe/64", fixed_cidr_v6="fd77::ff00/120")
    networks = Networks.open(store, exec_root, settings)

    endpoint = networks.join("one", "bridge")
    assert (endpoint.ipv6, endpoint.ipv6_gateway) == ("fd77::ff00", "fd77::fe")
    networks.leave("one")
    networks.close()
