"""How a network's containers reach the outside and are reached: gateway modes, sources, and the names of options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.errors import Forbidden, InvalidInput
from lamina.network.model import Endpoint, EndpointOptions, PortBinding
from lamina.network.networks import Networks
from lamina.network.settings import NetworkSettings
from lamina.store.store import Store
from network.attacks import command
from network.families import V4, V6, Family
from network.hosts import neighbour_of
from network.talk import ask, echo_server, in_namespace, peer_server, ping

pytestmark = pytest.mark.root

_PUBLISHED = EndpointOptions(ports=(PortBinding(container_port=80),))
_BRIDGE = "com.docker.network.bridge."
_SILENCE = 0.3  # seconds in which an answer would have come: on one machine it takes less than one millisecond


@pytest.fixture(params=[V4, V6], ids=["ipv4", "ipv6"])
def family(request: pytest.FixtureRequest) -> Family:
    chosen: Family = request.param
    return chosen


@pytest.fixture
def settings() -> NetworkSettings:
    return NetworkSettings(ipv6=True)


def _mode(mode: str, *, internal: bool = False) -> NetworkOptions:
    options = {f"{_BRIDGE}gateway_mode_ipv{version}": mode for version in (4, 6)}
    return NetworkOptions(enable_ipv6=True, internal=internal, options=options)


def _from(networks: Networks, sandbox: str, address: str, port: int, *, timeout: float = 5) -> bool:
    try:
        return in_namespace(networks.sandbox(sandbox), lambda: ask(address, port, timeout=timeout)) == address
    except OSError:
        return False


def _others(networks: Networks) -> Iterator[str]:
    """A neighbour on a link, and a container of another network."""
    neighbour_of(networks)
    networks.join("other", "bridge")
    yield from ("neighbour", "other")


def _served(networks: Networks, mode: str) -> Endpoint:
    networks.create("mine", _mode(mode))
    return networks.join("one", "mine", _PUBLISHED)


def test_a_routed_network_is_reached_at_its_published_ports_alone(networks: Networks, family: Family) -> None:
    endpoint = _served(networks, "routed")
    address = family.of(endpoint)

    assert {(port.host_ip, port.host_port) for port in endpoint.ports} == {("0.0.0.0", 0), ("::", 0)}
    with echo_server(networks.sandbox("one"), address, 80), echo_server(networks.sandbox("one"), address, 81):
        for other in _others(networks):
            assert _from(networks, other, address, 80)
            assert not _from(networks, other, address, 81, timeout=_SILENCE)
            assert in_namespace(networks.sandbox(other), lambda: ping(address))


def test_a_routed_network_goes_out_under_its_own_addresses(networks: Networks, family: Family) -> None:
    address = family.of(_served(networks, "routed"))

    with peer_server(neighbour_of(networks), family.neighbour, 80):
        assert in_namespace(networks.sandbox("one"), lambda: ask(family.neighbour, 80)) == address


def test_an_unprotected_network_is_reached_at_every_port(networks: Networks, family: Family) -> None:
    endpoint = _served(networks, "nat-unprotected")
    address = family.of(endpoint)

    with echo_server(networks.sandbox("one"), address, 80), echo_server(networks.sandbox("one"), address, 81):
        for other in _others(networks):
            assert _from(networks, other, address, 81)
        neighbour, port = networks.sandbox("neighbour"), endpoint.ports[0].host_port
        assert in_namespace(neighbour, lambda: ask(family.host, port)) == address


def test_the_host_is_not_in_an_isolated_network(networks: Networks, family: Family) -> None:
    network = networks.create("mine", _mode("isolated", internal=True))
    endpoint = networks.join("one", "mine")
    networks.join("two", "mine")

    assert [subnet.gateway for subnet in network.ipam.subnets] == ["", ""]
    addresses = command("ip", "addr", "show", "dev", network.bridge)
    assert "inet" not in addresses
    with echo_server(networks.sandbox("one"), family.of(endpoint), 80):
        assert _from(networks, "two", family.of(endpoint), 80)
        with pytest.raises(OSError):
            ask(family.of(endpoint), 80, timeout=_SILENCE)


def test_a_network_may_go_out_under_an_address_of_choice(networks: Networks, family: Family) -> None:
    chosen = {4: "10.9.0.77", 6: "2001:db8:9::77"}[family.version]
    nodad = ("nodad",) if family is V6 else ()
    neighbour = neighbour_of(networks)
    command("ip", "addr", "add", f"{chosen}/{family.prefix}", "dev", "wire", *nodad)
    networks.create("mine", family.options(**{f"host_ipv{family.version}": chosen}))
    networks.join("one", "mine")

    with peer_server(neighbour, family.neighbour, 80):
        assert in_namespace(networks.sandbox("one"), lambda: ask(family.neighbour, 80)) == chosen


def test_a_network_may_publish_at_an_address_of_choice(networks: Networks) -> None:
    networks.create("mine", V4.options(**{"bridge.host_binding_ipv4": "127.0.0.1"}))

    assert [port.host_ip for port in networks.join("one", "mine", _PUBLISHED).ports] == ["127.0.0.1"]


def test_interfaces_may_have_a_prefix_of_choice(networks: Networks) -> None:
    networks.create("mine", V4.options(container_iface_prefix="lan"))
    networks.join("one", "bridge")

    assert networks.join("one", "mine").interface == "lan0"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"com.docker.network.driver.mtu": "x"}, "failed to parse com.docker.network.driver.mtu value: x"),
        ({"com.docker.network.driver.mtu": "10"}, "invalid MTU number: 10"),
        ({f"{_BRIDGE}enable_icc": "maybe"}, "failed to parse com.docker.network.bridge.enable_icc value: maybe"),
        ({f"{_BRIDGE}gateway_mode_ipv4": "open"}, "unknown gateway mode open"),
        ({f"{_BRIDGE}gateway_mode_ipv6": "isolated"}, "can only be used for an internal network"),
        ({f"{_BRIDGE}name": "a" * 16}, "at most 15 characters"),
        ({f"{_BRIDGE}name": 'a"; drop'}, "at most 15 characters"),
        ({"com.docker.network.enable_ipv6": "perhaps"}, 'driver-opt "com.docker.network.enable_ipv6" is not a valid'),
        ({"com.docker.network.enable_ipv4": "false"}, "IPv4 or IPv6 must be enabled"),
    ],
)
def test_options_that_cannot_be_are_refused(networks: Networks, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        networks.create("mine", NetworkOptions(options=options))
    assert sentence in refusal.value.message
    assert len(networks.list()) == 3


def test_a_bridge_has_one_subnet_of_each_family(networks: Networks) -> None:
    subnets = (Subnet(subnet="10.44.0.0/24"), Subnet(subnet="10.45.0.0/24"))

    with pytest.raises(Forbidden, match="bridge driver doesn't support multiple subnets"):
        networks.create("mine", NetworkOptions(ipam=Ipam(subnets=subnets)))


def test_predefined_networks_are_not_made(networks: Networks) -> None:
    for name in ("bridge", "host", "none", "default"):
        with pytest.raises(Forbidden, match=f"operation is not permitted on predefined {name} network"):
            networks.create(name)


def test_options_of_the_engine_are_those_of_new_networks(machine: None, store: Store, exec_root: Path) -> None:
    defaults = {"bridge": {"com.docker.network.driver.mtu": "1400", "com.docker.network.enable_ipv6": "true"}}
    networks = Networks.open(store, exec_root, NetworkSettings(default_options=defaults))

    made, own = networks.create("mine"), networks.create("own", NetworkOptions(enable_ipv6=False))

    assert (made.enable_ipv6, own.enable_ipv6) == (True, False)
    assert made.options["com.docker.network.driver.mtu"] == "1400"
    assert "mtu 1400" in command("ip", "link", "show", "dev", made.bridge)
    networks.close()


def test_ports_of_a_routed_network_are_open_wherever_the_way_out_is(networks: Networks, family: Family) -> None:
    networks.create("routed", _mode("routed"))
    networks.join("one", "routed", _PUBLISHED)
    networks.join("one", "bridge", EndpointOptions(ports=_PUBLISHED.ports, gw_priority=1))
    networks.join("two", "routed")
    routed, way_out = networks.joined("one")

    assert {port.host_port for port in routed.ports} == {0}
    assert all(port.host_port for port in way_out.ports)
    with echo_server(networks.sandbox("one"), family.of(routed), 80):
        neighbour_of(networks)
        back = ("nsenter", f"--net={networks.sandbox('one')}", "ip", f"-{family.version}", "route", "add")
        command(*back, family.neighbour, "via", networks.joined("two")[0].gateway_of(family.version))
        assert _from(networks, "neighbour", family.of(routed), 80)
