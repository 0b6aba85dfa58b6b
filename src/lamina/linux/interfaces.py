"""Network interfaces, their addresses and routes.

The messages are those of rtnetlink(7); the numbers come from linux/if_link.h, linux/if_addr.h and linux/rtnetlink.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass
from types import TracebackType

from lamina.linux.netlink import CREATE, Netlink, attribute, attributes_of, nested, number, text

_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, which flags change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, two prefixes, tos, table, protocol, scope, type, flags

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER = 1, 3, 4, 5, 10
_IFLA_PROTINFO, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 12, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_BRPORT_HAIRPIN, _BRPORT_ISOLATED = 4, 33  # IFLA_BRPORT_MODE is the former's name there
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5

_AF_BRIDGE = 7
_UP = 1  # IFF_UP
_NO_DUPLICATE_CHECK = 0x02  # IFA_F_NODAD
_MAIN_TABLE = 254
_STATIC = 4  # RTPROT_STATIC: an administrator's route
_UNICAST = 1
_ON_LINK, _ANY_SCOPE = 253, 255

_MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}


@dataclass(frozen=True, slots=True)
class NewLink:
    """An interface to be made. `namespace` is a descriptor of the network namespace it is for, if it is not the
    connection's. `details` are attributes of the `kind`, as the functions below return them."""

    name: str
    kind: str = ""
    mac: str = ""
    mtu: int = 0
    master: int = 0
    parent: int = 0
    namespace: int = -1
    details: bytes = b""

    def encode(self) -> bytes:
        parts = [_LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0), text(_IFLA_IFNAME, self.name)]
        if self.mac:
            parts.append(attribute(_IFLA_ADDRESS, bytes.fromhex(self.mac.replace(":", ""))))
        for kind, value in ((_IFLA_MTU, self.mtu), (_IFLA_MASTER, self.master), (_IFLA_LINK, self.parent)):
            if value:
                parts.append(number(kind, value))
        if self.namespace >= 0:
            parts.append(number(_IFLA_NET_NS_FD, self.namespace))
        if self.kind:
            details = (nested(_INFO_DATA, self.details),) if self.details else ()
            parts.append(nested(_IFLA_LINKINFO, text(_INFO_KIND, self.kind), *details))
        return b"".join(parts)


def veth(peer: NewLink) -> bytes:
    """Return the details of a veth interface: its other end."""
    return attribute(_VETH_PEER, peer.encode())


def vlan(id: int) -> bytes:
    """Return the details of a VLAN of its parent."""
    return attribute(1, struct.pack("=H", id))


def macvlan(mode: str) -> bytes:
    """Return the details of a macvlan interface; `mode` is private, vepa, bridge or passthru."""
    return number(1, _MACVLAN_MODES[mode])


def ipvlan(mode: int, flags: int) -> bytes:
    """Return the details of an ipvlan interface, by the kernel's numbers."""
    return attribute(1, struct.pack("=H", mode)) + attribute(2, struct.pack("=H", flags))


@dataclass(frozen=True, slots=True)
class Link:
    """An interface. `master` is the number of the bridge that it is a port of, or 0."""

    index: int
    name: str
    mtu: int
    master: int


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the main table. `destination` is in CIDR form, "" for a default route; `interface` is a number."""

    destination: str
    interface: int


class Interfaces:
    """The interfaces of the network namespace that the maker's thread is in. Thread-safe; a context manager.

    Every method raises OSError with the kernel's reason. `close` may be called twice.
    """

    def __init__(self) -> None:
        self._netlink = Netlink()

    def __enter__(self) -> Interfaces:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._netlink.close()

    def add(self, link: NewLink) -> None:
        self._netlink.request(_NEWLINK, link.encode(), CREATE)

    def set_up(self, index: int) -> None:
        self._netlink.request(_NEWLINK, _LINK.pack(socket.AF_UNSPEC, 0, index, _UP, _UP))

    def remove(self, index: int) -> None:
        """Delete an interface, a veth with its other end."""
        self._netlink.request(_DELLINK, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0))

    def set_port(self, index: int, *, hairpin: bool, isolated: bool) -> None:
        """Let a bridge's port get back what it sent (`hairpin`), and not what other `isolated` ports send."""
        settings = ((_BRPORT_HAIRPIN, hairpin), (_BRPORT_ISOLATED, isolated))
        port = nested(_IFLA_PROTINFO, *(attribute(kind, bytes([value])) for kind, value in settings))
        self._netlink.request(_SETLINK, _LINK.pack(_AF_BRIDGE, 0, index, 0, 0) + port)

    def link(self, index: int) -> Link:
        """Return the interface with that number."""
        (answer,) = self._netlink.request(_GETLINK, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0))
        return _link(answer)

    def ports(self, master: int) -> list[Link]:
        """Return the ports of a bridge."""
        body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + number(_IFLA_MASTER, master)
        links = [_link(answer) for answer in self._netlink.dump(_GETLINK, body)]
        return [link for link in links if link.master == master]

    def add_address(self, index: int, address: str, *, scope: int = 0, broadcast: str = "") -> None:
        """Give an interface an address in CIDR form, without a look for a duplicate of an IPv6 one."""
        self._netlink.request(_NEWADDR, _address(index, address, scope, broadcast), CREATE)

    def remove_address(self, index: int, address: str) -> None:
        """Take an address in CIDR form from an interface."""
        self._netlink.request(_DELADDR, _address(index, address))

    def addresses(self, index: int, family: int) -> list[str]:
        """Return the addresses of an interface in CIDR form."""
        addresses = []
        for answer in self._netlink.dump(_GETADDR, _ADDRESS.pack(family, 0, 0, 0, index)):
            kind, prefix, _, _, interface = _ADDRESS.unpack_from(answer)
            if (kind, interface) == (family, index):
                values = attributes_of(answer[_ADDRESS.size :])
                raw = values.get(_IFA_LOCAL) or values[_IFA_ADDRESS]
                addresses.append(f"{socket.inet_ntop(family, raw)}/{prefix}")
        return addresses

    def add_default_route(self, family: int, index: int, gateway: str = "") -> None:
        """Lead what has no other route to `gateway`, or to the link itself."""
        scope = 0 if gateway or family == socket.AF_INET6 else _ON_LINK
        body = _ROUTE.pack(family, 0, 0, 0, _MAIN_TABLE, _STATIC, scope, _UNICAST, 0)
        self._netlink.request(_NEWROUTE, body + _way(family, index, gateway), CREATE)

    def remove_default_route(self, family: int, index: int, gateway: str = "") -> None:
        body = _ROUTE.pack(family, 0, 0, 0, _MAIN_TABLE, _STATIC, _ANY_SCOPE, _UNICAST, 0)
        self._netlink.request(_DELROUTE, body + _way(family, index, gateway))

    def routes(self, family: int) -> list[Route]:
        """Return the routes of the main table."""
        routes = []
        for answer in self._netlink.dump(_GETROUTE, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            kind, prefix, _, _, table, *_ = _ROUTE.unpack_from(answer)
            if (kind, table) == (family, _MAIN_TABLE):
                values = attributes_of(answer[_ROUTE.size :])
                destination = f"{socket.inet_ntop(family, values[_RTA_DST])}/{prefix}" if prefix else ""
                routes.append(Route(destination, _integer(values.get(_RTA_OIF))))
        return routes


def _link(answer: bytes) -> Link:
    _, _, index, _, _ = _LINK.unpack_from(answer)
    values = attributes_of(answer[_LINK.size :])
    name = values[_IFLA_IFNAME].rstrip(b"\0").decode(errors="surrogateescape")
    return Link(index, name, _integer(values.get(_IFLA_MTU)), _integer(values.get(_IFLA_MASTER)))


def _address(index: int, address: str, scope: int = 0, broadcast: str = "") -> bytes:
    interface = ipaddress.ip_interface(address)
    is_ipv6 = interface.version == 6
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    flags = _NO_DUPLICATE_CHECK if is_ipv6 else 0
    body = _ADDRESS.pack(family, interface.network.prefixlen, flags, scope, index)
    body += attribute(_IFA_LOCAL, interface.packed) + attribute(_IFA_ADDRESS, interface.packed)
    return body + (attribute(_IFA_BROADCAST, socket.inet_pton(family, broadcast)) if broadcast else b"")


def _way(family: int, index: int, gateway: str) -> bytes:
    """Return the attributes of a route: the interface it leads over, and the router behind that."""
    router = attribute(_RTA_GATEWAY, socket.inet_pton(family, gateway)) if gateway else b""
    return number(_RTA_OIF, index) + router


def _integer(value: bytes | None) -> int:
    return int(struct.unpack("=I", value)[0]) if value else 0
