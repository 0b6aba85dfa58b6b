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

    Where a container's way out is IPv4 only, IPv6 of the host leads there too.
    """
    by_ipv4, by_ipv6 = (version in ways and ways[version].id == endpoint.id for version in _VERSIONS)
    if not (by_ipv4 or by_ipv6):
        return PortTargets()
    target = endpoint.ip if by_ipv4 else ""
    return PortTargets(
        ipv4=target,
        ipv6=endpoint.ipv6 if by_ipv6 else "" if 6 in ways else target,
        routed=tuple(version for version in _VERSIONS if network.gateway_mode(version) == "routed"),
        host_ip=network.options.get("com.docker.network.bridge.host_binding_ipv4", ""),
    )


def _rank(endpoint: Endpoint) -> tuple[int, int, str]:
    families = sum(endpoint.leads_out(version) for version in _VERSIONS)
    return -endpoint.gw_priority, -families, endpoint.network
