"""The predefined networks: `bridge`, whose interface and addresses follow the engine's settings, `host` and `none`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.errors import Forbidden, InvalidInput
from lamina.network.addresses import parse_subnet
from lamina.network.bridges import Bridges
from lamina.network.catalog import NetworkCatalog
from lamina.network.model import DEFAULT, HOST, NONE, Network
from lamina.network.new_network import new_network


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


def ensure_default(catalog: NetworkCatalog, bridges: Bridges, bridge: str, bip: str | None, *, used: bool) -> None:
    """Make the network `bridge`, or change it to what the settings now say, unless containers have it in use.

    Raise Conflict where `bip` overlaps another network, InvalidInput where it is no address with a prefix length.
    """
    present = catalog.find(DEFAULT)
    if present is not None and (used or not _must_change(present, bridges, bridge, bip)):
        return
    fresh = new_network(DEFAULT, _default_options(bridge, bridges.mtu))
    if present is not None:
        fresh = msgspec.structs.replace(fresh, id=present.id, created=present.created)
        bridges.remove(present)
    fresh = msgspec.structs.replace(fresh, ipam=Ipam(subnets=(_bip_subnet(bip),)) if bip else Ipam())
    catalog.put(bridges.make(fresh, catalog.list()))


def _must_change(present: Network, bridges: Bridges, bridge: str, bip: str | None) -> bool:
    if present.bridge != bridge:
        return True
    subnet = present.ipam.subnets[0]
    if bip:
        bip_subnet = _bip_subnet(bip)
        return (bip_subnet.gateway, bip_subnet.subnet) != (subnet.gateway, subnet.subnet)
    return bridges.clashes(present)


def _default_options(bridge: str, mtu: int) -> NetworkOptions:
    """Return what Docker's `bridge` network shows as its options."""
    prefix = "com.docker.network.bridge."
    return NetworkOptions(
        options={
            f"{prefix}default_bridge": "true",
            f"{prefix}enable_icc": "true",
            f"{prefix}enable_ip_masquerade": "true",
            f"{prefix}host_binding_ipv4": "0.0.0.0",
            f"{prefix}name": bridge,
            "com.docker.network.driver.mtu": str(mtu),
        }
    )


def _bip_subnet(bip: str) -> Subnet:
    address, slash, _ = bip.partition("/")
    if not slash:
        raise InvalidInput(f"invalid bip {bip!r}", advice="Give an address and a prefix length, such as 172.17.0.1/16")
    return Subnet(subnet=str(parse_subnet(bip)), gateway=address)
