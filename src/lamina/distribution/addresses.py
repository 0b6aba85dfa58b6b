"""Addresses to which a stranger's answer must not send us: we stand inside the machine, and the stranger does not.

What counts is the address that a connection was made to, not the name in a URL, which may stand for any address.
"""

from __future__ import annotations

import ipaddress
import socket

from lamina.distribution.settings import is_loopback
from lamina.errors import Forbidden

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Metadata services of clouds give their machine's credentials to whoever asks from it. Most have 169.254.169.254, which
# is link-local like all others of 169.254.0.0/16; these are not.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google Cloud
        "fd00:c1::a9fe:a9fe",  # Oracle Cloud
        "192.0.0.192",  # Oracle Cloud
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def plain_address(text: str) -> Address:
    """Return the address that packets reach in the end: an IPv4 address where it is wrapped. Raise ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def keeps_credentials(address: Address) -> bool:
    """Return whether a cloud may serve the machine's credentials at this address, as at link-local ones."""
    return address.is_link_local or address in _METADATA


def check_address(text: str, here: bool) -> None:
    """Raise Forbidden for an address to which no registry has a reason to send anyone.

    Addresses of this machine are fine if the registry itself is `here`. So are private ones: object stores have them.
    """
    address = plain_address(text)
    if keeps_credentials(address) or address.is_multicast or address.is_unspecified:
        raise Forbidden(f"A registry sends its clients to {address}, where no content is", address=str(address))
    if address.is_loopback and not here:
        message = f"A registry elsewhere sends its clients to {address}, the loopback of this machine"
        raise Forbidden(message, address=str(address))


def check_literal(host: str, here: bool) -> None:
    """Check a URL's host if it is an address. A name is judged once a connection is made."""
    try:
        plain_address(host)
    except ValueError:
        return
    check_address(host, here)


def is_here(host: str) -> bool:
    """Return whether a host is this machine, by its address or by what its name leads to."""
    if is_loopback(host):
        return True
    try:
        places = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(is_loopback(str(place[4][0])) for place in places)
