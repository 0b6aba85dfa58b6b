"""Which of a container's networks leads outside: for its default routes, and for its published ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lamina.network.model import Endpoint, Network, PortTargets

_VERSIONS = (4, 6)


def ways_out(endpoints: Iterable[Endpoint]) -> dict[int, Endpoint]:
    """Return the endpoint that leads outside, by IP version; a version without one is missing.

    The order is dockerd's: the highest priority, then those that lead out by both versions, then the network's name.
    """
    ordered = sorted(endpoints, key=_rank)
    firsts = {version: next((e for e in ordered if e.leads_out(version)), None) for version in _VERSIONS}
    return {version: endpoint for version, endpoint in firsts.items() if endpoint is not None}


def routes(ways: Mapping[int, Endpoint]) -> dict[int, tuple[str, str]]:
    """Return the default routes by IP version: gateway and interface."""
    return {version: (endpoint.gateway_of(version), endpoint.interface) for version, endpoint in ways.items()}


def port_targets(endpoint: Endpoint, network: Network, ways: Mapping[int, Endpoint]) -> PortTargets:
    """Return where ports published at `endpoint`, in `network`, lead.

    Where a container's way out is IPv4 only, IPv6 of the host leads there too. Ports of a routed network are open
    wherever the way out is.
    """
    routed = tuple(version for version in _VERSIONS if network.gateway_mode(version) == "routed")
    by_ipv4, by_ipv6 = (version in ways and ways[version].id == endpoint.id for version in _VERSIONS)
    target = endpoint.ip if by_ipv4 else ""
    from_ipv6 = endpoint.ipv6 if by_ipv6 else "" if 6 in ways else target
    return PortTargets(
        ipv4=target or (endpoint.ip if 4 in routed else ""),
        ipv6=from_ipv6 or (endpoint.ipv6 if 6 in routed else ""),
        routed=routed,
        host_ip=network.options.get("com.docker.network.bridge.host_binding_ipv4", ""),
    )


def _rank(endpoint: Endpoint) -> tuple[int, int, str]:
    families = sum(endpoint.leads_out(version) for version in _VERSIONS)
    return -endpoint.gw_priority, -families, endpoint.network
