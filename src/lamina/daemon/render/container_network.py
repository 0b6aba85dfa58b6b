"""A container's networks and ports as JSON, in inspect and in the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lamina.api.containers import PortHost
from lamina.containers.inspect import ContainerDetails, ContainerNetwork
from lamina.containers.record import NEVER, Record
from lamina.network.model import PREDEFINED, Endpoint

Version = tuple[int, int]
_NOWHERE = Endpoint(id="", sandbox_id="", network_id="", network="")


def network_settings(item: ContainerDetails, version: Version) -> dict[str, Any]:
    """Return `NetworkSettings` of inspect."""
    return {
        "SandboxID": item.id if item.sandbox_key else "",
        "SandboxKey": item.sandbox_key,
        "Ports": {port: hosts and [_host(host) for host in hosts] for port, hosts in item.ports.items()},
        **(_flat_settings(item) if version < (1, 52) else {}),
        "Networks": endpoints(item.record, item.networks, version),
    }


def _flat_settings(item: ContainerDetails) -> dict[str, Any]:
    """Return what API versions before 1.52 show beside the networks: the endpoint in the default bridge."""
    bridge = item.networks.get("bridge")
    return {
        "Bridge": "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **_addresses(bridge.endpoint if bridge else None),
    }


def _host(host: PortHost) -> dict[str, str]:
    return {"HostIp": host.host_ip, "HostPort": host.host_port}


def _addresses(endpoint: Endpoint | None) -> dict[str, Any]:
    place = endpoint or _NOWHERE
    return {
        "EndpointID": place.id,
        "Gateway": place.gateway,
        "GlobalIPv6Address": place.ipv6,
        "GlobalIPv6PrefixLen": place.ipv6_prefix,
        "IPAddress": place.ip,
        "IPPrefixLen": place.prefix,
        "IPv6Gateway": place.ipv6_gateway,
        "MacAddress": place.mac,
    }


def endpoints(record: Record, networks: Mapping[str, ContainerNetwork], version: Version) -> dict[str, Any]:
    """Return the places in networks by the network's name."""
    return {name: _network(record, network, version) for name, network in networks.items()}


def _network(record: Record, network: ContainerNetwork, version: Version) -> dict[str, Any]:
    config, named = network.asked, network.name not in PREDEFINED
    ipam = {key: value for key, value in msgspec.to_builtins(config.ipam).items() if value} if config else {}
    return {
        "IPAMConfig": ipam or None,
        "Links": list(config.links) or None if config else None,
        "Aliases": _aliases(record, network, version) or None,
        "DriverOpts": (config.driver_opts or None) if config else None,
        "GwPriority": config.gw_priority if config else 0,
        "NetworkID": network.network_id,
        **_addresses(network.endpoint),
        "MacAddress": network.mac_address,
        "DNSNames": list(dict.fromkeys((record.name, *network.aliases, record.config.hostname))) if named else None,
    }


def _aliases(record: Record, network: ContainerNetwork, version: Version) -> list[str]:
    """Return the aliases that were asked for; API versions before 1.45 add the short ID, once the container ran."""
    aliases = network.asked.aliases if network.asked else ()
    if version >= (1, 45) or network.name in PREDEFINED or record.state.started_at == NEVER:
        return list(aliases)
    return list(dict.fromkeys((*aliases, record.id[:12])))


def port_list(ports: Mapping[str, tuple[PortHost, ...] | None]) -> list[dict[str, Any]]:
    """Return the ports as the list has them: one entry for each address."""
    entries: list[dict[str, Any]] = []
    for key, hosts in ports.items():
        number, _, protocol = key.partition("/")
        base = {"PrivatePort": int(number.partition("-")[0]), "Type": protocol}
        if not hosts:
            entries.append(base)
        for host in hosts or ():
            entries.append(
                {"IP": host.host_ip, **base, **({"PublicPort": int(host.host_port)} if host.host_port else {})}
            )
    return entries
