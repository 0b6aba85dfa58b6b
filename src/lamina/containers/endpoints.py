"""A container's places in networks as they are asked for: checked by dockerd's rules, and under the networks' names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from lamina.api.containers import EndpointConfig, HostConfig, NetworkingConfig
from lamina.errors import InvalidInput, LaminaError
from lamina.network.model import PREDEFINED, Network
from lamina.sandbox.spec import IFNAME, interface_sysctls

_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}|[0-9a-f]{4}(\.[0-9a-f]{4}){2}", re.IGNORECASE)
_INTERFACE = re.compile(r"[^\s/:]{1,15}")  # as the kernel has it (dev_valid_name)
_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.\w+\.(IFNAME|ifname)\.\w+=.*", re.ASCII)


def networks_of(
    host: HostConfig, networking: NetworkingConfig, find: Callable[[str], Network]
) -> dict[str, EndpointConfig]:
    """Return the networks to join under their names, the one of NetworkMode first.

    `default` in the request means the network of NetworkMode. A network that `find` does not know keeps its reference:
    it is looked for again at the start.
    """
    mode = host.network_mode
    if mode.startswith("container:"):
        return {}
    return dict(_first_and_others(mode, networking, find))


def _first_and_others(
    mode: str, networking: NetworkingConfig, find: Callable[[str], Network]
) -> Iterator[tuple[str, EndpointConfig]]:
    requests = {_name(reference, find): endpoint for reference, endpoint in networking.endpoints_config.items()}
    name = _name(mode, find)
    default = requests.pop("default", EndpointConfig())
    yield name, requests.pop(name, default)
    yield from requests.items()


def _name(reference: str, find: Callable[[str], Network]) -> str:
    if reference in PREDEFINED or reference == "default":
        return reference
    try:
        return find(reference).name
    except LaminaError:
        return reference


def check_endpoint(network: str, endpoint: EndpointConfig) -> None:
    """Raise InvalidInput, in dockerd's words, for what no endpoint in `network` can have."""
    faults = list(_faults(network, endpoint))
    if faults:
        listed = faults[0] if len(faults) == 1 else "* " + "\n* ".join(faults)
        raise InvalidInput(f"invalid endpoint settings:\n{listed}")
    check_mac(endpoint.mac_address)


def check_mac(text: str) -> None:
    """Raise InvalidInput for what is no MAC address; none at all is fine."""
    if text and not _MAC.fullmatch(text):
        raise InvalidInput(f"address {text}: invalid MAC address", address=text)


def _faults(network: str, endpoint: EndpointConfig) -> Iterator[str]:
    ipam = endpoint.ipam
    if network in PREDEFINED and (ipam.ipv4_address or ipam.ipv6_address):
        yield "user specified IP address is supported on user defined networks only"
    if network in PREDEFINED and endpoint.aliases:
        yield "network-scoped aliases are only supported for user-defined networks"
    if ipam.ipv4_address and not _is_address(ipam.ipv4_address, 4):
        yield f"invalid IPv4 address: {ipam.ipv4_address}"
    if ipam.ipv6_address and not _is_address(ipam.ipv6_address, 6):
        yield f"invalid IPv6 address: {ipam.ipv6_address}"
    for address in ipam.link_local_ips:
        if not _is_address(address, 4) and not _is_address(address, 6):
            yield f"invalid link-local IP address: {address}"
    name = endpoint.driver_opts.get(IFNAME, "")
    if name and (not _INTERFACE.fullmatch(name) or name in (".", "..", "lo")):
        yield f"invalid interface name: {name}"
    for sysctl in interface_sysctls(endpoint):
        if not _SYSCTL.fullmatch(sysctl):
            yield (
                f"unrecognised network interface sysctl '{sysctl}'; represent 'net.X.Y.ethN.Z=V' as "
                "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )


def _is_address(text: str, version: int) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address.ipv4_mapped):
        return False
    return address.version == version and not address.is_unspecified
