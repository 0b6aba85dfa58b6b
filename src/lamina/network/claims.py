"""New endpoints: their addresses and interface names, chosen so that no two containers share one."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from lamina.errors import Conflict, Forbidden, InvalidInput
from lamina.network.addresses import choose_address, mac_of, parse_subnet
from lamina.network.catalog import NetworkCatalog
from lamina.network.endpoints import Endpoints
from lamina.network.model import Endpoint, EndpointOptions, Network
from lamina.network.vlans import routed_on_link

_FIELDS = {
    4: ("ip", "prefix", "gateway", "requested_ip"),
    6: ("ipv6", "ipv6_prefix", "ipv6_gateway", "requested_ipv6"),
}


class Claims:
    """Give out addresses. Thread-safe. `settle` waits until endpoints that were left are gone."""

    def __init__(self, catalog: NetworkCatalog, endpoints: Endpoints, settle: Callable[[], None]) -> None:
        self._catalog = catalog
        self._endpoints = endpoints
        self._settle = settle
        self._lock = threading.Lock()  # over the choice of addresses, and over whether a network is used
        self._last: dict[tuple[str, int], str] = {}  # the address given out last, by network and IP version

    @contextmanager
    def unused(self, network: Network) -> Iterator[None]:
        """Keep sandboxes from joining `network` while the block runs. Raise Forbidden where some are in it."""
        with self._lock:
            users = self._endpoints.of_network(network.id)
            if users:
                raise Forbidden(
                    f"error while removing network: network {network.name} id {network.id} has active endpoints",
                    containers=[endpoint.sandbox_id for endpoint in users],
                )
            yield

    def claim(self, sandbox_id: str, network: Network, request: EndpointOptions) -> Endpoint:
        """Return an endpoint with addresses of its own, recorded before anything of it exists.

        Raise Forbidden for an address in use or a network joined already, InvalidInput for an address outside, NotFound
        where the network has just been removed, Unavailable where it is full.
        """
        if request.ip or request.ipv6:
            self._settle()  # the address may be one that is just being left
        with self._lock:
            self._catalog.get(network.id)  # it may just have been removed
            joined = self._endpoints.of_sandbox(sandbox_id)
            if any(endpoint.network_id == network.id for endpoint in joined):
                raise Forbidden(f"endpoint with name {sandbox_id[:12]} already exists in network {network.name}")
            if request.mac and network.driver == "ipvlan":
                raise InvalidInput("ipvlan interfaces do not support custom mac address assignment")
            identity = secrets.token_hex(32)
            endpoint = Endpoint(
                id=identity,
                sandbox_id=sandbox_id,
                network_id=network.id,
                network=network.name,
                interface=_interface(joined, request.interface, network),
                host_interface=f"veth{identity[:7]}" if network.driver == "bridge" else "",
                on_link=routed_on_link(network),
                link_local_ips=request.link_local_ips,
                aliases=request.aliases,
                names=request.names,
                links=request.links,
                requested_ports=request.ports,
                gw_priority=request.gw_priority,
                sysctls=request.sysctls,
                **self._addresses(network, request),
            )
            mac = "" if network.driver == "ipvlan" else request.mac or mac_of(endpoint.ip or endpoint.ipv6)
            endpoint = msgspec.structs.replace(endpoint, mac=mac)
            self._endpoints.put(endpoint)
        return endpoint

    def _addresses(self, network: Network, request: EndpointOptions) -> dict[str, Any]:
        """Choose a free address of each family the network has, or take those that were asked for."""
        chosen: dict[str, Any] = {}
        for version, asked in ((4, request.ip), (6, request.ipv6)):
            subnet = None if version == 6 and request.without_ipv6 else network.subnet(version)
            if subnet is None:
                if asked:
                    raise InvalidInput(
                        "user specified IP address is supported only when connecting to networks with user configured "
                        "subnets",
                        advice=f"The network {network.name} has no IPv{version} addresses",
                        address=asked,
                    )
                continue
            last = self._last.get((network.id, version), "")
            used = {_bare(e.address(version)) for e in self._endpoints.of_network(network.id)}
            address = choose_address(subnet, used, last, asked)
            if not asked:
                self._last[network.id, version] = address
            gateway = "" if network.internal or routed_on_link(network) else network.way_out(version)
            values = (address, parse_subnet(subnet.subnet).prefixlen, gateway, asked)
            chosen |= dict(zip(_FIELDS[version], values, strict=True))
        return chosen


def _bare(address: str) -> str:
    return address.partition("/")[0]


def _interface(joined: Iterable[Endpoint], asked: str, network: Network) -> str:
    """Return `asked`, or the first free name of the network's kind. Raise Conflict where it is taken."""
    used = {endpoint.interface for endpoint in joined}
    if asked in used:
        raise Conflict(f"interface name {asked} is already used in the container")
    prefix = network.options.get("com.docker.network.container_iface_prefix") or "eth"
    return asked or next(name for number in range(len(used) + 1) if (name := f"{prefix}{number}") not in used)
