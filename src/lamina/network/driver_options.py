"""The options of the bridge driver, checked when a network is made."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from lamina.errors import InvalidInput
from lamina.network.model import FALSE, TRUE, TRUSTED

BRIDGE = "com.docker.network.bridge."
MTU = "com.docker.network.driver.mtu"
GATEWAY_MODES = ("nat", "nat-unprotected", "routed", "isolated")
_SMALLEST_MTU = {4: 68, 6: 1280}  # bytes (RFC 791, RFC 8200)
_INTERFACE = re.compile(r'[^\s/:"]{1,15}')  # as the kernel has it, and nothing that nft reads as its own


def check_bridge_options(options: Mapping[str, str], *, internal: bool, ipv6: bool) -> None:
    """Raise InvalidInput, in dockerd's words, for an option of the bridge driver that cannot be."""
    for label, value in options.items():
        fault = _CHECKS[label](value) if label in _CHECKS else ""
        if fault:
            raise InvalidInput(f"failed to parse {label} value: {value} ({fault})", option=label)
    isolated = "isolated" in (options.get(f"{BRIDGE}gateway_mode_ipv{version}") for version in (4, 6))
    if isolated and not internal:
        raise InvalidInput("gateway mode 'isolated' can only be used for an internal network")
    mtu = int(options.get(MTU) or 0)
    if mtu < 0 or 0 < mtu < _SMALLEST_MTU[6 if ipv6 else 4]:
        raise InvalidInput(f"invalid MTU number: {mtu}")


def _flag_fault(value: str) -> str:
    return "" if value in TRUE | FALSE else f'strconv.ParseBool: parsing "{value}": invalid syntax'


def _number_fault(value: str) -> str:
    if re.fullmatch(r"[+-]?[0-9]{1,10}", value):
        return ""
    return f'strconv.Atoi: parsing "{value}": invalid syntax'


def _mode_fault(value: str) -> str:
    return "" if value in GATEWAY_MODES else f"unknown gateway mode {value}"


def _address_fault(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "nil ip"
    return ""


def _interface_fault(value: str) -> str:
    if not value or (_INTERFACE.fullmatch(value) and value not in (".", "..")):
        return ""
    return "an interface has at most 15 characters, and no blank, slash, colon or quote"


def _interfaces_fault(value: str) -> str:
    return next(filter(None, map(_interface_fault, value.split(":"))), "")


_CHECKS: Mapping[str, Callable[[str], str]] = {
    MTU: _number_fault,
    f"{BRIDGE}name": _interface_fault,
    f"{BRIDGE}enable_icc": _flag_fault,
    f"{BRIDGE}enable_ip_masquerade": _flag_fault,
    f"{BRIDGE}inhibit_ipv4": _flag_fault,
    f"{BRIDGE}default_bridge": _flag_fault,
    TRUSTED: _interfaces_fault,
    f"{BRIDGE}gateway_mode_ipv4": _mode_fault,
    f"{BRIDGE}gateway_mode_ipv6": _mode_fault,
    f"{BRIDGE}host_binding_ipv4": _address_fault,
    "com.docker.network.host_ipv4": _address_fault,
    "com.docker.network.host_ipv6": _address_fault,
    "com.docker.network.container_iface_prefix": _interface_fault,
    "com.docker.network.enable_ipv4": _flag_fault,
    "com.docker.network.enable_ipv6": _flag_fault,
}
