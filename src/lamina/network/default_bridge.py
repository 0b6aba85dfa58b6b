"""The predefined networks: `bridge`, whose interface and addresses follow the engine's settings, `host` and `none`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.errors import Forbidden, InvalidInput
from lamina.network.addresses import parse_subnet
from lamina.network.allocation import Allocation, choosing
from lamina.network.bridges import Bridges
from lamina.network.catalog import NetworkCatalog
from lamina.network.links import Links
from lamina.network.model import DEFAULT, HOST, NONE, ROUTERS, Network
from lamina.network.new_network import new_network
from lamina.network.settings import NetworkSettings
from lamina.network.subnets import check_subnets


def bridge_name(exec_root: Path) -> str:
    """Return the default bridge's interface: `lamina0` for the system's daemon, else a name that belongs to the exec
    root."""
    if str(exec_root) == "/run/lamina":
        return "lamina0"
    return "lam" + hashlib.sha256(str(exec_root.absolute()).encode()).hexdigest()[:10]


def add_host_and_none(catalog: NetworkCatalog) -> None:
    """Make the networks host and none where they are missing."""
    for name, driver in ((HOST, "host"), (NONE, "null")):
        if catalog.find(name) is None:
            catalog.put(new_network(name, NetworkOptions(driver=driver)))


def check_removable(network: Network) -> None:
    """Raise Forbidden for the predefined networks."""
    if network.predefined:
        raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")


class DefaultBridge:
    """Make the network `bridge` at a start, or change it to what the settings now say."""

    def __init__(
        self,
        catalog: NetworkCatalog,
        links: Links,
        bridges: Bridges,
        allocation: Allocation,
        settings: NetworkSettings,
        used: Callable[[Network], bool],
    ) -> None:
        self._catalog = catalog
        self._links = links
        self._bridges = bridges
        self._allocation = allocation
        self._settings = settings
        self._used = used

    def start(self, bridge: str) -> None:
        """Put it right, unless containers have it in use. `bridge` is the interface's name.

        Raise Forbidden where its addresses overlap another network, InvalidInput for settings that cannot be.
        """
        present = self._catalog.find(DEFAULT)
        if present is not None and self._used(present):
            return
        configured = None if self._settings.bridge == NONE else self._configured(bridge)
        if present is not None:
            if configured is not None and self._fits(present, configured):
                return
            self._bridges.remove(present)
        if configured is None:
            if present is not None:
                self._catalog.delete(present)
            return
        if present is not None:
            configured = msgspec.structs.replace(configured, id=present.id, created=present.created)
        with choosing():
            chosen = self._allocation.choose(configured, self._catalog.list())
            self._bridges.make(chosen)
            self._catalog.put(chosen)

    def _configured(self, bridge: str) -> Network:
        configured = default_network(bridge, self._settings, self._bridges.mtu)
        if not self._settings.bridge:
            return configured
        if self._links.index(bridge) is None:
            raise InvalidInput(
                f"bridge device with non default name {bridge} must be created manually",
                advice="Make it, or leave the setting `bridge` out",
            )
        settled = configured.ipam.subnets or subnets_of(self._links.addresses_of(bridge), configured.versions)
        settled = with_routers(settled, self._settings)
        check_subnets(settled, ipv6=True)
        return msgspec.structs.replace(configured, borrowed=True, ipam=Ipam(subnets=settled))

    def _fits(self, present: Network, configured: Network) -> bool:
        return agree(present, configured) and (bool(configured.ipam.subnets) or not self._allocation.clashes(present))


def default_network(bridge: str, settings: NetworkSettings, mtu: int) -> Network:
    """Return the network `bridge` as the settings ask for it, its open addresses not yet chosen.

    Raise InvalidInput for settings that are no addresses.
    """
    subnets = _subnets(settings) if settings.bridge else with_routers(_subnets(settings), settings)
    options = msgspec.structs.replace(
        _default_options(bridge, settings, mtu), enable_ipv6=settings.ipv6, ipam=Ipam(subnets=subnets)
    )
    check_subnets(options.ipam.subnets, ipv6=True)
    return new_network(DEFAULT, options)


def agree(present: Network, configured: Network) -> bool:
    """Return whether the default network is as the settings ask for it."""
    if (present.bridge, present.enable_ipv6, present.options) != (
        configured.bridge,
        configured.enable_ipv6,
        configured.options,
    ):
        return False
    return all(_agree(present, subnet) for subnet in configured.ipam.subnets)


def _agree(present: Network, configured: Subnet) -> bool:
    subnet = present.subnet(6 if ":" in configured.subnet else 4)
    if subnet is None:
        return False
    same_gateway = not configured.gateway or configured.gateway == subnet.gateway
    own, asked = ((each.subnet, each.ip_range, each.reserved) for each in (subnet, configured))
    return own == asked and same_gateway


def subnets_of(addresses: Iterable[str], versions: Iterable[int]) -> tuple[Subnet, ...]:
    """Return the subnets that an interface with these addresses (CIDR form) is the gateway of: one of each version."""
    subnets: dict[int, Subnet] = {}
    for address in addresses:
        network = parse_subnet(address)
        if not network.is_link_local:
            gateway = address.partition("/")[0]
            subnets.setdefault(network.version, Subnet(subnet=str(network), gateway=gateway))
    return tuple(subnets[version] for version in versions if version in subnets)


def _subnets(settings: NetworkSettings) -> tuple[Subnet, ...]:
    """Return the subnets that are settled: `bip` or else `fixed_cidr`, and the same for IPv6."""
    subnets = []
    if settings.bip:
        subnets.append(_settled("bip", settings.bip, 4, settings.fixed_cidr))
    elif settings.fixed_cidr:
        subnets.append(Subnet(subnet=settings.fixed_cidr))
    if settings.ipv6 and settings.bip6:
        subnets.append(_settled("bip6", settings.bip6, 6, settings.fixed_cidr_v6))
    elif settings.ipv6 and settings.fixed_cidr_v6:
        if parse_subnet(settings.fixed_cidr_v6).version != 6:
            raise InvalidInput(f"invalid fixed-cidr-v6: '{settings.fixed_cidr_v6}' is not a valid IPv6 subnet")
        subnets.append(Subnet(subnet=settings.fixed_cidr_v6))
    return tuple(subnets)


def with_routers(subnets: Iterable[Subnet], settings: NetworkSettings) -> tuple[Subnet, ...]:
    """Return `subnets` with the routers of the settings, which are reserved.

    Raise InvalidInput for a router without a subnet to be in.
    """
    routers = {4: settings.default_gateway, 6: settings.default_gateway_v6 if settings.ipv6 else ""}
    placed = []
    for subnet in subnets:
        version = parse_subnet(subnet.subnet).version
        router = routers.pop(version, "")
        placed.append(msgspec.structs.replace(subnet, reserved={ROUTERS[version]: router}) if router else subnet)
    for left, router in routers.items():
        if router:
            raise InvalidInput(
                f"there is no IPv{left} subnet for the default gateway {router} to be in",
                advice="Give the default bridge its addresses, by bip or bip6",
            )
    return tuple(placed)


def _settled(key: str, text: str, version: int, ip_range: str) -> Subnet:
    address, slash, _ = text.partition("/")
    if not slash or parse_subnet(text).version != version:
        advice = "Give an address and a prefix length, such as 172.17.0.1/16"
        raise InvalidInput(f"invalid {key} {text!r}", advice=advice)
    return Subnet(subnet=str(parse_subnet(text)), gateway=address, ip_range=ip_range)


def _default_options(bridge: str, settings: NetworkSettings, mtu: int) -> NetworkOptions:
    """Return what Docker's `bridge` network shows as its options."""
    prefix = "com.docker.network.bridge."
    return NetworkOptions(
        options={
            f"{prefix}default_bridge": "true",
            f"{prefix}enable_icc": "true",
            f"{prefix}enable_ip_masquerade": "true",
            f"{prefix}host_binding_ipv4": settings.host_ip or "0.0.0.0",
            f"{prefix}name": bridge,
            "com.docker.network.driver.mtu": str(mtu),
        }
    )
