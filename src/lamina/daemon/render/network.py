"""Networks as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lamina.network.addresses import usage
from lamina.network.model import Endpoint, Network


def network(
    item: Network, endpoints: Sequence[Endpoint], name_of: Callable[[str], str], version: tuple[int, int]
) -> dict[str, Any]:
    """Return a network with its containers; `name_of` gives a container's name for its id."""
    document: dict[str, Any] = {
        "Name": item.name,
        "Id": item.id,
        "Created": item.created,
        "Scope": "local",
        "Driver": item.driver,
        "EnableIPv6": item.enable_ipv6,
        "IPAM": _ipam(item),
        "Internal": item.internal,
        "Attachable": item.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {e.sandbox_id: _endpoint(e, name_of(e.sandbox_id)) for e in endpoints if e.sandbox_id},
        "Options": item.options,
        "Labels": item.labels,
    }
    if version >= (1, 48):
        document["EnableIPv4"] = item.enable_ipv4
    return document


def status(item: Network, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return how full a network's subnets are, as inspect shows it since API 1.52."""
    subnets: dict[str, dict[str, int]] = {}
    for subnet in item.ipam.subnets:
        if (6 if ":" in subnet.subnet else 4) not in item.versions:
            continue
        addresses = [e.ipv6 if ":" in subnet.subnet else e.ip for e in endpoints]
        in_use, available = usage(subnet, filter(None, addresses))
        subnets[subnet.subnet] = {"IPsInUse": in_use, "DynamicIPsAvailable": available}
    return {"IPAM": {"Subnets": subnets} if subnets else {}}


def _ipam(item: Network) -> dict[str, Any]:
    config = []
    for subnet in item.ipam.subnets:
        entry: dict[str, Any] = {"Subnet": subnet.subnet}
        if subnet.ip_range:
            entry["IPRange"] = subnet.ip_range
        if subnet.gateway:
            entry["Gateway"] = subnet.gateway
        if subnet.reserved:
            entry["AuxiliaryAddresses"] = subnet.reserved
        config.append(entry)
    return {"Driver": item.ipam.driver, "Options": item.ipam.options, "Config": config}


def _endpoint(endpoint: Endpoint, name: str) -> dict[str, str]:
    return {
        "Name": name,
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac,
        "IPv4Address": endpoint.address(4),
        "IPv6Address": endpoint.address(6),
    }
