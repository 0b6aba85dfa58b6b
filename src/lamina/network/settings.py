"""What an engine may be told about its networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """The default bridge, and what new networks start from; "" and empty mean: choose.

    `bip` and `bip6` are the default bridge's addresses in CIDR form, `bridge` its interface's name (default: one
    that belongs to the exec root alone), `fixed_cidr` and `fixed_cidr_v6` the ranges its containers get addresses
    from. `default_gateway` and `default_gateway_v6` are the routers of these containers, where it is not the host.
    `pools` are daemon.json's default-address-pools as (base, prefix length). `identity` names the engine: its
    IPv6 addresses follow from it. `host_ip` is where the default bridge publishes ports that name no address.
    Without `userland_proxy` no process carries what the kernel cannot translate. With `allow_direct_routing` others
    reach published ports at the containers' own addresses too. With `ip_forward` the engine lets the host forward
    packets; where it did not before, only those of container networks, unless `ip_forward_no_drop`.
    `host_gateway_ips` are what `host-gateway` stands for. `default_options` are those of new networks, by driver.
    """

    bip: str = ""
    bip6: str = ""
    bridge: str = ""
    ipv6: bool = False
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    default_gateway_v6: str = ""
    pools: tuple[tuple[str, int], ...] = ()
    identity: str = ""
    host_ip: str = ""
    userland_proxy: bool = True
    allow_direct_routing: bool = False
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    host_gateway_ips: tuple[str, ...] = ()
    default_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
