"""Other machines on a link with the host, which send packets for containers and for its loopback."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from lamina.errors import InvalidInput
from lamina.network.model import EndpointOptions, PortBinding
from lamina.network.networks import Networks
from lamina.network.settings import NetworkSettings
from lamina.store.store import Store
from network.attacks import route_loopback_through
from network.families import V4, V6, Family
from network.hosts import neighbour_of
from network.talk import ask, echo_server, in_namespace

pytestmark = pytest.mark.root

_SILENCE = 0.3  # seconds in which an answer would have come: on one machine it takes less than one millisecond
_EITHER = pytest.mark.parametrize("family", [V4, V6], ids=["ipv4", "ipv6"])


@pytest.fixture
def settings() -> NetworkSettings:
    return NetworkSettings(ipv6=True)


def _published(host_ip: str = "") -> EndpointOptions:
    return EndpointOptions(ports=(PortBinding(container_port=80, host_ip=host_ip),))


def test_a_neighbour_does_not_reach_the_loopback(networks: Networks) -> None:
    endpoint = networks.join("one", "bridge", _published("127.0.0.1"))
    neighbour = neighbour_of(networks)
    # As other programs leave it (Kubernetes does): without it the kernel would stop the packets itself.
    Path("/proc/sys/net/ipv4/conf/wire/route_localnet").write_text("1")
    route_loopback_through(str(neighbour), "127.0.0.1", "10.9.0.1")
    port = endpoint.ports[0].host_port

    with echo_server(networks.sandbox("one"), endpoint.ip, 80):
        assert ask("127.0.0.1", port) == endpoint.ip
        with pytest.raises(OSError):
            in_namespace(neighbour, lambda: ask("127.0.0.1", port, timeout=_SILENCE))
        with pytest.raises(OSError):
            in_namespace(neighbour, lambda: ask("10.9.0.1", port, timeout=_SILENCE))


@_EITHER
def test_a_neighbour_does_not_reach_addresses_of_our_networks(networks: Networks, family: Family) -> None:
    """Not a container's, published or not, nor the host's own address in the network."""
    endpoint = networks.join("one", "bridge", _published())
    neighbour = neighbour_of(networks)

    own, gateway = family.of(endpoint), family.gateway(endpoint)
    with echo_server(networks.sandbox("one"), own, 80), echo_server(None, gateway, 8080):
        assert in_namespace(neighbour, lambda: ask(family.host, endpoint.ports[0].host_port)) == own
        for address, port in ((own, 80), (gateway, 8080)):
            with pytest.raises(TimeoutError):
                in_namespace(neighbour, partial(ask, address, port, timeout=_SILENCE))


@_EITHER
def test_direct_routing_opens_published_ports_alone(
    machine: None, store: Store, exec_root: Path, family: Family
) -> None:
    networks = Networks.open(store, exec_root, NetworkSettings(ipv6=True, allow_direct_routing=True))
    endpoint = networks.join("one", "bridge", _published())
    neighbour = neighbour_of(networks)
    own = family.of(endpoint)

    with echo_server(networks.sandbox("one"), own, 80), echo_server(networks.sandbox("one"), own, 81):
        assert in_namespace(neighbour, lambda: ask(own, 80)) == own
        with pytest.raises(TimeoutError):
            in_namespace(neighbour, lambda: ask(own, 81, timeout=_SILENCE))
    for sandbox in ("one", "neighbour"):
        networks.leave(sandbox)
    networks.close()


@_EITHER
def test_a_trusted_interface_of_the_host_reaches_published_ports_at_their_own_addresses(
    networks: Networks, family: Family
) -> None:
    neighbour = neighbour_of(networks)
    networks.create("trusting", family.options(**{"bridge.trusted_host_interfaces": "other:wire"}))
    networks.create("wary", family.options(**{"bridge.trusted_host_interfaces": "other"}))
    for name in ("trusting", "wary"):
        endpoint = networks.join(name, name, _published())
        own = family.of(endpoint)
        with echo_server(networks.sandbox(name), own, 80), echo_server(networks.sandbox(name), own, 81):
            if name == "trusting":
                assert in_namespace(neighbour, partial(ask, own, 80)) == own
            else:
                with pytest.raises(TimeoutError):
                    in_namespace(neighbour, partial(ask, own, 80, timeout=_SILENCE))
            with pytest.raises(TimeoutError):
                in_namespace(neighbour, partial(ask, own, 81, timeout=_SILENCE))


def test_a_name_of_an_interface_that_cannot_be_is_refused(networks: Networks) -> None:
    with pytest.raises(InvalidInput, match="trusted_host_interfaces value: a:b c"):
        networks.create("odd", V4.options(**{"bridge.trusted_host_interfaces": "a:b c"}))
