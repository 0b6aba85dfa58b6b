"""Requests for networks, checked and completed: all but their addresses."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec

from lamina.api.networks import NetworkOptions
from lamina.errors import Forbidden, InvalidInput, NotFound
from lamina.formats.times import now
from lamina.network.driver_options import BRIDGE, check_bridge_options
from lamina.network.model import FALSE, PREDEFINED, TRUE, Network
from lamina.network.subnets import check_subnets
from lamina.network.vlans import PARENT, check_options, owned_interface

LONGEST_NAME = 128  # characters; dockerd takes any name that is not blank
_DRIVERS = ("bridge", "host", "ipvlan", "macvlan", "null")
_VLANS = ("ipvlan", "macvlan")
_ENABLE = "com.docker.network.enable_ipv"


def with_defaults(options: NetworkOptions, defaults: Mapping[str, Mapping[str, str]]) -> NetworkOptions:
    """Return the request with the driver's default options, and with the IP versions that options ask for.

    What the request says itself wins. Raise InvalidInput for an option that must be true or false.
    """
    driver = options.driver or "bridge"
    merged = {**defaults.get(driver, {}), **options.options}
    versions = {4: options.enable_ipv4, 6: options.enable_ipv6}
    for version, enabled in versions.items():
        if enabled is None:
            versions[version] = _flag(merged, f"{_ENABLE}{version}", version == 4)
        else:
            merged.pop(f"{_ENABLE}{version}", None)
    return msgspec.structs.replace(
        options, driver=driver, options=merged, enable_ipv4=versions[4], enable_ipv6=versions[6]
    )


def _flag(options: Mapping[str, str], name: str, default: bool) -> bool:
    text = options.get(name)
    if text is not None and text not in TRUE | FALSE:
        raise InvalidInput(f'driver-opt "{name}" is not a valid bool', option=name)
    return default if text is None else text in TRUE


def new_network(name: str, options: NetworkOptions) -> Network:
    """Return a network of that name, not yet kept, its addresses not yet chosen.

    Raise InvalidInput for a bad name or options, Forbidden for a second host or null network, NotFound for a driver
    that is no part of lamina.
    """
    options = with_defaults(options, {})
    _check(name, options)
    identity = secrets.token_hex(32)
    return Network(
        id=identity,
        name=name,
        driver=options.driver,
        created=now(),
        internal=options.internal or _leads_nowhere(options),
        attachable=options.attachable,
        enable_ipv4=bool(options.enable_ipv4),
        enable_ipv6=bool(options.enable_ipv6),
        ipam=options.ipam,
        labels=options.labels,
        options=options.options,
        bridge=_interface(options, identity),
    )


def _interface(options: NetworkOptions, identity: str) -> str:
    """Return the interface of the host that is made for the network, "" for none."""
    if options.driver in _VLANS:
        return owned_interface(options.driver, options.options, identity)
    return (options.options.get(f"{BRIDGE}name") or f"br-{identity[:12]}") if options.driver == "bridge" else ""


def _leads_nowhere(options: NetworkOptions) -> bool:
    return options.driver in _VLANS and not options.options.get(PARENT)


def _check(name: str, options: NetworkOptions) -> None:
    if not name.strip() or not name.isprintable() or "/" in name or len(name) > LONGEST_NAME:
        raise InvalidInput(f"invalid network name: {name[:LONGEST_NAME]!r}")
    if options.driver not in _DRIVERS:
        raise NotFound(f'plugin "{options.driver}" not found', advice=f"The drivers are {', '.join(_DRIVERS)}")
    if options.driver in ("host", "null") and name not in PREDEFINED:
        raise Forbidden(f'only one instance of "{options.driver}" network is allowed')
    if options.ipam.driver not in ("", "default"):
        raise NotFound(f'IPAM plugin "{options.ipam.driver}" not found')
    if not (options.enable_ipv4 or options.enable_ipv6):
        raise InvalidInput("IPv4 or IPv6 must be enabled")
    if options.driver == "bridge":
        check_bridge_options(options.options, internal=options.internal, ipv6=bool(options.enable_ipv6))
    if options.driver in _VLANS:
        check_options(options.driver, options.options)
    check_subnets(options.ipam.subnets, ipv6=bool(options.enable_ipv6))
