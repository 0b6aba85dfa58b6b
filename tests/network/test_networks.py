"""Networks for real: bridges, namespaces, rules and ports, each test in a network namespace of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.errors import Conflict, Forbidden, InvalidInput, NotFound
from lamina.events import EventBus
from lamina.network.model import EndpointOptions, PortBinding
from lamina.network.networks import Networks
from lamina.network.settings import NetworkSettings
from lamina.store.store import Store
from network.talk import ask, echo_server, in_namespace

pytestmark = pytest.mark.root


def _command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def _port(container: int, proto: str = "tcp", host_port: int = 0, host_port_end: int = 0) -> EndpointOptions:
    binding = PortBinding(container_port=container, proto=proto, host_port=host_port, host_port_end=host_port_end)
    return EndpointOptions(ports=(binding,))


def test_the_predefined_networks_are_there(networks: Networks) -> None:
    assert [network.name for network in networks.list()] == ["bridge", "host", "none"]
    assert networks.get("bridge").options["com.docker.network.bridge.default_bridge"] == "true"
    for name in ("bridge", "host", "none"):
        with pytest.raises(Forbidden, match="pre-defined"):
            networks.remove(name)


def test_containers_of_a_bridge_reach_each_other_and_the_host(networks: Networks) -> None:
    first = networks.join("one", "bridge")
    networks.join("two", "bridge")

    with echo_server(networks.sandbox("one"), first.ip, 80):
        assert in_namespace(networks.sandbox("two"), lambda: ask(first.ip, 80)) == first.ip
        assert ask(first.ip, 80) == first.ip


def test_a_joined_sandbox_has_address_route_and_mac(networks: Networks) -> None:
    endpoint = networks.join("one", "bridge", EndpointOptions(mac="02:00:00:00:00:05"))
    path = networks.sandbox("one")

    shown = _command("nsenter", f"--net={path}", "ip", "addr", "show", "dev", "eth0")
    routes = _command("nsenter", f"--net={path}", "ip", "route")

    assert f"{endpoint.ip}/{endpoint.prefix}" in shown
    assert "02:00:00:00:00:05" in shown
    assert f"default via {endpoint.gateway}" in routes


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_published_port_is_reached_from_localhost(networks: Networks, host: str) -> None:
    endpoint = networks.join("one", "bridge", _port(80))

    with echo_server(networks.sandbox("one"), endpoint.ip, 80):
        assert ask(host, endpoint.ports[0].host_port) == endpoint.ip


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_udp_is_published_too(networks: Networks, host: str) -> None:
    endpoint = networks.join("one", "bridge", _port(53, proto="udp"))

    with echo_server(networks.sandbox("one"), endpoint.ip, 53, udp=True):
        assert ask(host, endpoint.ports[0].host_port, udp=True) == endpoint.ip


def test_a_published_port_is_reached_from_another_machine_others_are_not(networks: Networks, tmp_path: Path) -> None:
    other = networks.sandbox("neighbour")
    _command("ip", "link", "add", "wire", "type", "veth", "peer", "name", "eth0", "netns", str(other))
    _command("ip", "addr", "add", "10.9.0.1/24", "dev", "wire")
    _command("ip", "link", "set", "wire", "up")
    inside = ("nsenter", f"--net={other}", "ip")
    _command(*inside, "addr", "add", "10.9.0.2/24", "dev", "eth0")
    _command(*inside, "link", "set", "eth0", "up")
    _command(*inside, "route", "add", "default", "via", "10.9.0.1")
    endpoint = networks.join("one", "bridge", _port(80))

    with echo_server(networks.sandbox("one"), endpoint.ip, 80):
        assert in_namespace(other, lambda: ask("10.9.0.1", endpoint.ports[0].host_port)) == endpoint.ip
        with pytest.raises(OSError):
            in_namespace(other, lambda: ask(endpoint.ip, 80, timeout=0.3))


def test_a_container_reaches_its_own_published_port_through_the_host(networks: Networks) -> None:
    _command("ip", "addr", "add", "10.8.0.1/32", "dev", "lo")
    endpoint = networks.join("one", "bridge", _port(80))
    networks.join("two", "bridge")

    with echo_server(networks.sandbox("one"), endpoint.ip, 80):
        port = endpoint.ports[0].host_port
        assert in_namespace(networks.sandbox("two"), lambda: ask("10.8.0.1", port)) == endpoint.ip
        assert in_namespace(networks.sandbox("one"), lambda: ask("10.8.0.1", port)) == endpoint.ip


def test_bridges_are_closed_to_each_other(networks: Networks) -> None:
    networks.create("apart")
    endpoint = networks.join("one", "bridge")
    networks.join("two", "apart")

    with echo_server(networks.sandbox("one"), endpoint.ip, 80):
        with pytest.raises(OSError):
            in_namespace(networks.sandbox("two"), lambda: ask(endpoint.ip, 80, timeout=0.3))


def test_a_port_belongs_to_one_container(networks: Networks) -> None:
    port = networks.join("one", "bridge", _port(80)).ports[0].host_port

    with pytest.raises(Conflict, match=f"{port} failed: port is already allocated"):
        networks.join("two", "bridge", _port(80, host_port=port))
    assert networks.joined("two") == []

    networks.leave("one")
    assert networks.join("two", "bridge", _port(80, host_port=port)).ports[0].host_port == port


def test_a_port_of_another_program_is_refused(networks: Networks) -> None:
    with echo_server(None, "127.0.0.1", 9999):
        with pytest.raises(Conflict, match="address already in use"):
            networks.join("one", "bridge", _port(80, host_port=9999))


def test_a_range_gives_the_next_free_port(networks: Networks) -> None:
    wanted: dict[str, Any] = {"host_port": 20000, "host_port_end": 20001}

    assert networks.join("one", "bridge", _port(80, **wanted)).ports[0].host_port == 20000
    assert networks.join("two", "bridge", _port(80, **wanted)).ports[0].host_port == 20001
    with pytest.raises(Conflict):
        networks.join("three", "bridge", _port(80, **wanted))


def test_addresses_may_be_chosen_and_are_unique(networks: Networks) -> None:
    networks.create("mine", NetworkOptions(ipam=Ipam(subnets=(Subnet(subnet="10.44.0.0/24"),))))

    assert networks.join("one", "mine", EndpointOptions(ip="10.44.0.9")).ip == "10.44.0.9"
    with pytest.raises(Forbidden, match="Address already in use"):
        networks.join("two", "mine", EndpointOptions(ip="10.44.0.9"))
    with pytest.raises(InvalidInput):
        networks.join("two", "mine", EndpointOptions(ip="10.45.0.9"))

    networks.leave("one")
    assert networks.join("two", "mine", EndpointOptions(ip="10.44.0.9")).ip == "10.44.0.9"


def test_overlapping_networks_are_refused(networks: Networks) -> None:
    taken = networks.get("bridge").ipam.subnets[0].subnet

    with pytest.raises(Forbidden, match="overlaps"):
        networks.create("mine", NetworkOptions(ipam=Ipam(subnets=(Subnet(subnet=taken),))))
    with pytest.raises(NotFound):
        networks.get("mine")


def test_subnets_avoid_the_routes_of_the_host(machine: None, store: Store, exec_root: Path) -> None:
    _command("ip", "link", "add", "wire", "type", "bridge")
    _command("ip", "addr", "add", "172.17.3.1/24", "dev", "wire")
    _command("ip", "link", "set", "wire", "up")

    networks = Networks.open(store, exec_root)

    assert networks.get("bridge").ipam.subnets[0].subnet == "172.18.0.0/16"
    networks.close()


def test_a_network_with_endpoints_stays(networks: Networks) -> None:
    networks.create("mine")
    networks.join("one", "mine")

    with pytest.raises(Forbidden, match="active endpoints"):
        networks.remove("mine")
    assert networks.prune().removed == ()
    networks.leave("one", "mine")
    assert networks.prune().removed == ("mine",)


def test_a_second_network_can_be_joined_and_left(networks: Networks) -> None:
    networks.create("mine")
    networks.join("one", "bridge")

    second = networks.join("one", "mine")
    assert second.interface == "eth1"
    networks.leave("one", "bridge")

    routes = _command("nsenter", f"--net={networks.sandbox('one')}", "ip", "route")
    assert f"default via {second.gateway} dev eth1" in routes


def test_an_internal_network_has_no_way_out(networks: Networks) -> None:
    networks.create("inner", NetworkOptions(internal=True))

    endpoint = networks.join("one", "inner")

    assert endpoint.gateway == ""
    assert "default" not in _command("nsenter", f"--net={networks.sandbox('one')}", "ip", "route")


def test_names_ids_and_prefixes_find_a_network(networks: Networks) -> None:
    network = networks.create("mine")

    assert networks.get("mine") == networks.get(network.id) == networks.get(network.id[:8])
    with pytest.raises(Conflict, match="already exists"):
        networks.create("mine")
    with pytest.raises(NotFound):
        networks.get("other")
    with pytest.raises(NotFound, match="plugin"):
        networks.create("odd", NetworkOptions(driver="weave"))


def test_what_happens_is_told(machine: None, store: Store, exec_root: Path) -> None:
    events = EventBus()
    networks = Networks.open(store, exec_root, events=events)
    networks.create("mine")
    networks.join("one", "mine")
    networks.leave("one")
    networks.remove("mine")
    networks.close()

    told = [(event.action, event.attributes.get("container")) for event in events.past(0, 1 << 63)]
    assert told == [("create", None), ("connect", "one"), ("disconnect", "one"), ("destroy", None)]


def test_a_firewall_that_drops_by_default_lets_our_bridges_pass(machine: None, store: Store, exec_root: Path) -> None:
    _command("iptables", "-P", "FORWARD", "DROP")
    networks = Networks.open(store, exec_root)
    _command("ip", "addr", "add", "10.8.0.1/32", "dev", "lo")
    endpoint = networks.join("one", "bridge", _port(80))
    networks.create("apart")
    networks.join("two", "apart")

    with echo_server(networks.sandbox("one"), endpoint.ip, 80):
        port = endpoint.ports[0].host_port
        assert in_namespace(networks.sandbox("two"), lambda: ask("10.8.0.1", port)) == endpoint.ip
        with pytest.raises(OSError):
            in_namespace(networks.sandbox("two"), lambda: ask(endpoint.ip, 80, timeout=0.3))
    networks.leave("one")
    networks.leave("two")
    networks.close()
    assert "lam" not in _command("iptables", "-S")


def test_a_route_of_the_containers_own_stands_in_the_way_and_all_is_as_before(networks: Networks) -> None:
    networks.create("inner", NetworkOptions(internal=True, ipam=Ipam(subnets=(Subnet(subnet="10.44.0.0/24"),))))
    networks.create("outer")
    networks.join("one", "inner")
    inside = ("nsenter", f"--net={networks.sandbox('one')}", "ip")
    _command(*inside, "route", "add", "default", "via", "10.44.0.1")

    with pytest.raises(Conflict, match="failed to set gateway: file exists"):
        networks.join("one", "outer")

    assert [endpoint.network for endpoint in networks.joined("one")] == ["inner"]
    assert networks.endpoints("outer") == []
    assert "eth1" not in _command(*inside, "link")
    _command(*inside, "route", "del", "default")
    assert networks.join("one", "outer").interface == "eth1"


def test_the_highest_priority_is_the_way_out_and_ports_follow_it(networks: Networks) -> None:
    for name in ("first", "second"):
        networks.create(name)
    ports = (PortBinding(container_port=80),)
    networks.join("one", "first", EndpointOptions(ports=ports))
    networks.join("one", "second", EndpointOptions(ports=ports, gw_priority=1))
    first, second = networks.joined("one")
    assert first.ports == ()
    inside = ("nsenter", f"--net={networks.sandbox('one')}", "ip")
    assert f"default via {second.gateway} dev eth1" in _command(*inside, "route")
    with echo_server(networks.sandbox("one"), second.ip, 80):
        assert ask("127.0.0.1", second.ports[0].host_port) == second.ip

    networks.leave("one", "second")
    (first,) = networks.joined("one")
    with echo_server(networks.sandbox("one"), first.ip, 80):
        assert ask("127.0.0.1", first.ports[0].host_port) == first.ip


def test_a_sandbox_without_a_way_out_publishes_nothing(networks: Networks) -> None:
    networks.create("inner", NetworkOptions(internal=True))

    assert networks.join("one", "inner", _port(80)).ports == ()


def test_an_interface_may_have_a_name_and_settings_of_its_own(networks: Networks) -> None:
    options = EndpointOptions(interface="lan0", sysctls=("net.ipv4.conf.IFNAME.log_martians=1",))

    assert networks.join("one", "bridge", options).interface == "lan0"

    inside = ("nsenter", f"--net={networks.sandbox('one')}")
    assert "lan0" in _command(*inside, "ip", "link")
    assert _command(*inside, "sysctl", "-n", "net.ipv4.conf.lan0.log_martians") == "1\n"
    with pytest.raises(InvalidInput, match="failed to set sysctl"):
        networks.join("two", "bridge", EndpointOptions(sysctls=("net.ipv4.conf.IFNAME.no_such=1",)))


def test_the_host_is_reached_by_the_gateways_of_the_container_or_those_of_choice(
    machine: None, store: Store, exec_root: Path
) -> None:
    networks = Networks.open(store, exec_root)
    networks.create("both", NetworkOptions(enable_ipv6=True))
    networks.create("inner", NetworkOptions(internal=True))
    both = networks.join("one", "both")
    networks.join("two", "inner")
    assert networks.host_gateways("one") == (both.gateway, both.ipv6_gateway)
    assert networks.host_gateways("two") == (networks.get("bridge").ipam.subnets[0].gateway,)
    for sandbox in ("one", "two"):
        networks.leave(sandbox)
    networks.close()

    networks = Networks.open(store, exec_root, NetworkSettings(host_gateway_ips=("192.0.2.1",)))
    assert networks.host_gateways("one") == ("192.0.2.1",)
    networks.close()


def test_without_the_proxy_only_the_kernel_publishes(machine: None, store: Store, exec_root: Path) -> None:
    networks = Networks.open(store, exec_root, NetworkSettings(userland_proxy=False))
    networks.create("both", NetworkOptions(enable_ipv6=True))

    assert [port.host_ip for port in networks.join("one", "bridge", _port(80)).ports] == ["0.0.0.0"]
    both = networks.join("two", "both", _port(80))
    assert [port.host_ip for port in both.ports] == ["0.0.0.0", "::"]
    with echo_server(networks.sandbox("two"), both.ip, 80):
        assert ask("127.0.0.1", both.ports[0].host_port) == both.ip
        with pytest.raises(OSError):
            ask("::1", both.ports[1].host_port, timeout=0.3)
    for sandbox in ("one", "two"):
        networks.leave(sandbox)
    networks.close()


def test_ports_without_an_address_go_where_the_settings_say(machine: None, store: Store, exec_root: Path) -> None:
    networks = Networks.open(store, exec_root, NetworkSettings(host_ip="127.0.0.1"))

    assert [port.host_ip for port in networks.join("one", "bridge", _port(80)).ports] == ["127.0.0.1"]
    networks.leave("one")
    networks.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_sctp_is_published_for_the_family_of_the_container(networks: Networks, host: str) -> None:
    """No proxy carries it: IPv6 of the host leads to IPv6 of the container, or nowhere."""
    networks.create("both", NetworkOptions(enable_ipv6=True))
    network, shown = ("bridge", ["0.0.0.0"]) if host == "127.0.0.1" else ("both", ["0.0.0.0", "::"])

    assert [port.host_ip for port in networks.join("one", network, _port(80, proto="sctp")).ports] == shown


def test_addresses_of_one_port_get_the_same_port_of_the_host(networks: Networks) -> None:
    ports = tuple(PortBinding(container_port=80, host_ip=ip) for ip in ("127.0.0.1", "::1", "127.0.0.2"))

    published = networks.join("one", "bridge", EndpointOptions(ports=ports)).ports

    assert sorted(port.host_ip for port in published) == ["127.0.0.1", "127.0.0.2", "::1"]
    assert len({port.host_port for port in published}) == 1


def test_an_id_is_more_than_a_name(networks: Networks) -> None:
    first = networks.create("first")
    networks.create(first.id)

    assert networks.get(first.id).name == "first"
