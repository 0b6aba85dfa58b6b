"""What the Engine API says about a network to be made, and its codec."""

from __future__ import annotations

from typing import Any

import msgspec

from lamina.formats import go_json


class Subnet(msgspec.Struct, frozen=True, kw_only=True):
    """One address range of a network, in CIDR text; `ip_range` limits what is given out, `reserved` never is."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    reserved: dict[str, str] = {}


class Ipam(msgspec.Struct, frozen=True, kw_only=True):
    """How a network's addresses are chosen."""

    driver: str = "default"
    options: dict[str, str] | None = None
    subnets: tuple[Subnet, ...] = ()


class NetworkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of a new network (`POST /networks/create`).

    An IP version that is None is left to the driver's options and the engine's defaults: IPv4 without IPv6.
    """

    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    scope: str = ""
    ipam: Ipam = Ipam()
    labels: dict[str, str] = {}
    options: dict[str, str] = {}


class _Subnet(msgspec.Struct, rename="pascal", omit_defaults=True):
    subnet: str = ""
    ip_range: str = msgspec.field(name="IPRange", default="")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] = {}


class _Ipam(msgspec.Struct, rename="pascal"):
    driver: str = "default"
    options: dict[str, str] | None = None
    config: tuple[_Subnet, ...] = ()


class NetworkBody(msgspec.Struct, rename="pascal", omit_defaults=True):
    """The body of the request as it is sent."""

    name: str = ""
    driver: str = ""
    check_duplicate: bool = False
    internal: bool = False
    attachable: bool = False
    scope: str = ""
    enable_ipv4: bool | None = msgspec.field(name="EnableIPv4", default=None)
    enable_ipv6: bool | None = msgspec.field(name="EnableIPv6", default=None)
    ipam: _Ipam = msgspec.field(name="IPAM", default_factory=_Ipam)
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


def decode(document: Any) -> tuple[str, NetworkOptions]:
    """Return the name and options of a request's JSON. Raise InvalidInput, naming the field."""
    body = go_json.convert(document, NetworkBody)
    return body.name, NetworkOptions(
        driver=body.driver or "bridge",
        internal=body.internal,
        attachable=body.attachable,
        enable_ipv4=body.enable_ipv4,
        enable_ipv6=body.enable_ipv6,
        scope=body.scope,
        ipam=_from_wire(body.ipam),
        labels=body.labels,
        options=body.options,
    )


def decode_ipam(document: Any) -> Ipam:
    """Return the IPAM object of a network's JSON."""
    return _from_wire(go_json.convert(document or {}, _Ipam))


def encode(name: str, options: NetworkOptions) -> dict[str, Any]:
    """Return the JSON object of a request."""
    subnets = tuple(_Subnet(s.subnet, s.ip_range, s.gateway, s.reserved) for s in options.ipam.subnets)
    body = NetworkBody(
        name=name,
        driver=options.driver,
        check_duplicate=True,
        internal=options.internal,
        attachable=options.attachable,
        scope=options.scope,
        enable_ipv4=options.enable_ipv4,
        enable_ipv6=options.enable_ipv6,
        ipam=_Ipam(options.ipam.driver, options.ipam.options, subnets),
        options=options.options,
        labels=options.labels,
    )
    document: dict[str, Any] = msgspec.to_builtins(body)
    return document


def _from_wire(ipam: _Ipam) -> Ipam:
    subnets = (
        Subnet(subnet=c.subnet, ip_range=c.ip_range, gateway=c.gateway, reserved=c.auxiliary_addresses)
        for c in ipam.config
    )
    return Ipam(driver=ipam.driver or "default", options=ipam.options, subnets=tuple(subnets))
