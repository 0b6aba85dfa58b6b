"""Requests for networks, checked and completed: all but their addresses."""

from __future__ import annotations

import secrets

from lamina.api.networks import NetworkOptions
from lamina.errors import Forbidden, InvalidInput, NotFound
from lamina.formats.times import now
from lamina.network.model import PREDEFINED, Network
from lamina.network.subnets import check_subnets

LONGEST_NAME = 128  # characters; dockerd takes any name that is not blank
_DRIVERS = {"bridge": "bridge", "": "bridge", "host": "host", "null": "null"}


def new_network(name: str, options: NetworkOptions) -> Network:
    """Return a network of that name, not yet kept, its addresses not yet chosen.

    Raise InvalidInput for a bad name, Forbidden for a second host or null network, NotFound for a driver that is no
    part of lamina.
    """
    if not name.strip() or not name.isprintable() or "/" in name or len(name) > LONGEST_NAME:
        raise InvalidInput(f"invalid network name: {name[:LONGEST_NAME]!r}")
    if options.driver not in _DRIVERS:
        raise NotFound(f'plugin "{options.driver}" not found', advice="The drivers are bridge, host and null")
    driver = _DRIVERS[options.driver]
    if driver != "bridge" and name not in PREDEFINED:
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if options.ipam.driver not in ("", "default"):
        raise NotFound(f'IPAM plugin "{options.ipam.driver}" not found')
    if driver == "bridge" and not (options.enable_ipv4 or options.enable_ipv6):
        raise InvalidInput("IPv4 or IPv6 must be enabled")
    check_subnets(options.ipam.subnets, ipv6=options.enable_ipv6)
    identity = secrets.token_hex(32)
    chosen = options.options.get("com.docker.network.bridge.name", "")
    bridge = (chosen or f"br-{identity[:12]}") if driver == "bridge" else ""
    if len(bridge) > 15 or "/" in bridge or '"' in bridge:
        raise InvalidInput(f"invalid bridge name {bridge!r}: at most 15 characters, no slash or quote")
    return Network(
        id=identity,
        name=name,
        driver=driver,
        created=now(),
        internal=options.internal,
        attachable=options.attachable,
        enable_ipv4=options.enable_ipv4,
        enable_ipv6=options.enable_ipv6,
        ipam=options.ipam,
        labels=options.labels,
        options=options.options,
        bridge=bridge,
    )
