"""Interfaces as a container sees them: addresses, routes and settings inside its network namespace."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import Conflict, InvalidInput
from lamina.linux.interfaces import Interfaces
from lamina.network.links import add_address, told
from lamina.network.namespaces import inside

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


Routes = Mapping[int, tuple[str, str]]  # default routes by IP version: gateway ("" for the link itself), interface


@dataclass(frozen=True, slots=True)
class Interface:
    """What a container's interface is to have. `addresses` are in CIDR form.

    Without `trust_routers` router advertisements are ignored: a neighbour could send them. `sysctls` are
    `net.ipv4.conf.IFNAME.name=value`; IFNAME stands for the interface.
    """

    name: str
    addresses: Sequence[str]
    sysctls: Sequence[str] = ()
    trust_routers: bool = False


def set_up(namespace: Path, interface: Interface, before: Routes, after: Routes) -> None:
    """Give the interface its addresses, set it up, and put the default routes `after` in the place of `before`.

    Raise InvalidInput where the kernel does not take a sysctl, and what `change_routes` raises.
    """
    with _interfaces_of(namespace, f"setting up {interface.name}") as interfaces:
        index = socket.if_nametoindex(interface.name)
        _prepare_ipv6(interface)
        _announce_addresses(interface.name)
        for address in interface.addresses:
            add_address(interfaces, index, address)
        for sysctl in interface.sysctls:
            _write(sysctl, interface.name)
        interfaces.set_up(index)
        _change_routes(interfaces, before, after)


def _write(sysctl: str, interface: str) -> None:
    name, _, value = sysctl.partition("=")
    parts = [interface if part.upper() == "IFNAME" else part for part in name.split(".")]
    try:
        Path("/proc/sys", *parts).write_text(value)
    except OSError as error:
        raise InvalidInput(f"failed to set sysctl {sysctl}: {error.strerror}", sysctl=sysctl) from error


def remove_link(namespace: Path, interface: str) -> None:
    """Delete an interface of the container; one that is gone, or whose namespace is, is ignored."""
    with suppress(FileNotFoundError), _interfaces_of(namespace, f"removing {interface}") as interfaces:
        try:
            index = socket.if_nametoindex(interface)
        except OSError:
            return
        interfaces.remove(index)


def change_routes(namespace: Path, before: Routes, after: Routes) -> None:
    """Put the default routes `after` in the place of `before`; a route that is gone already is fine.

    Raise Conflict where the container has a default route that is not ours, Internal with the kernel's reason.
    """
    with _interfaces_of(namespace, "failed to set gateway") as interfaces:
        _change_routes(interfaces, before, after)


def _change_routes(interfaces: Interfaces, before: Routes, after: Routes) -> None:
    for version in _FAMILIES:
        if before.get(version) != after.get(version):
            _change_route(interfaces, version, before.get(version), after.get(version))


def _change_route(
    interfaces: Interfaces, version: int, before: tuple[str, str] | None, after: tuple[str, str] | None
) -> None:
    family = _FAMILIES[version]
    if before is not None:
        gateway, name = before
        with suppress(OSError):  # the route, or its interface, is gone
            interfaces.remove_default_route(family, socket.if_nametoindex(name), gateway)
    if after is not None:
        gateway, name = after
        try:
            interfaces.add_default_route(family, socket.if_nametoindex(name), gateway)
        except FileExistsError as error:
            raise Conflict("failed to set gateway: file exists", gateway=gateway, interface=name) from error


def _prepare_ipv6(interface: Interface) -> None:
    """Switch IPv6 on where the interface has such an address, and off elsewhere, as dockerd does for each interface."""
    disabled = "0" if any(":" in address for address in interface.addresses) else "1"
    settings = {} if interface.trust_routers else {"accept_ra": "0"}
    for setting, value in (settings | {"disable_ipv6": disabled}).items():
        with suppress(FileNotFoundError):  # a kernel without IPv6
            Path(f"/proc/sys/net/ipv6/conf/{interface.name}/{setting}").write_text(value)


def _announce_addresses(interface: str) -> None:
    """Have the kernel announce the interface's addresses when it comes up: by ARP and by neighbour advertisements.

    An address may have been another container's a moment ago, whose MAC the neighbours remember. Rule: arp_notify and
    ndisc_notify in ip-sysctl.rst.
    """
    for setting in ("ipv4/conf/{}/arp_notify", "ipv6/conf/{}/ndisc_notify"):
        with suppress(FileNotFoundError):  # a kernel without IPv6
            Path("/proc/sys/net", setting.format(interface)).write_text("1")


@contextmanager
def _interfaces_of(namespace: Path, doing: str) -> Iterator[Interfaces]:
    """Yield a connection to the namespace's interfaces; the calling thread is in it meanwhile."""
    with inside(namespace), told(doing), Interfaces() as interfaces:
        yield interfaces
