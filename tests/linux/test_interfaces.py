"""Interfaces, addresses and routes, in network namespaces of the test's own."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lamina.linux.interfaces import Interfaces, NewLink, Route, ipvlan, macvlan, veth, vlan
from lamina.linux.syscalls import CLONE_NEWNET, setns, unshare

pytestmark = pytest.mark.root
MAC = "02:42:ac:11:00:02"


@pytest.fixture
def interfaces(machine: None) -> Iterator[Interfaces]:
    with Interfaces() as interfaces:
        yield interfaces


def details(name: str) -> dict[str, Any]:
    """Return what iproute2 tells of an interface."""
    shown = subprocess.run(["ip", "-j", "-d", "link", "show", name], capture_output=True, check=True).stdout
    (link,) = json.loads(shown)
    return dict(link)


def made(interfaces: Interfaces, link: NewLink) -> int:
    interfaces.add(link)
    return socket.if_nametoindex(link.name)


def test_a_bridge_and_its_port(interfaces: Interfaces) -> None:
    bridge = made(interfaces, NewLink("br0", "bridge", mac=MAC, mtu=1400))
    port = made(interfaces, NewLink("port", "veth", mtu=1400, master=bridge, details=veth(NewLink("peer", mtu=1300))))
    interfaces.set_up(bridge)
    interfaces.set_port(port, hairpin=True, isolated=True)

    assert (details("br0")["address"], details("br0")["mtu"]) == (MAC, 1400)
    assert "UP" in details("br0")["flags"]
    settings = details("port")["linkinfo"]["info_slave_data"]
    assert (settings["hairpin"], settings["isolated"]) == (True, True)
    assert [(link.name, link.mtu, link.master) for link in interfaces.ports(bridge)] == [("port", 1400, bridge)]
    assert interfaces.link(socket.if_nametoindex("peer")).mtu == 1300

    interfaces.remove(port)
    assert interfaces.ports(bridge) == []
    assert [name for _, name in socket.if_nameindex() if name in ("port", "peer")] == []


def test_a_veth_into_another_namespace(interfaces: Interfaces) -> None:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    unshare(CLONE_NEWNET)
    other = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    setns(home, CLONE_NEWNET)
    try:
        interfaces.add(NewLink("here", "veth", details=veth(NewLink("eth0", mac=MAC, namespace=other))))
        assert {name for _, name in socket.if_nameindex()} >= {"here"}
        setns(other, CLONE_NEWNET)
        assert details("eth0")["address"] == MAC
        with Interfaces() as inside:
            assert inside.link(socket.if_nametoindex("eth0")).name == "eth0"
        assert interfaces.link(1).name == "lo"  # the first connection stays where it was made
        with pytest.raises(OSError, match="No such device"):
            interfaces.link(10_000)
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(other)


@pytest.mark.parametrize(
    ("kind", "own", "shown"),
    [
        ("vlan", vlan(4094), {"protocol": "802.1Q", "id": 4094}),
        ("macvlan", macvlan("passthru"), {"mode": "passthru"}),
        ("ipvlan", ipvlan(1, 2), {"mode": "l3", "mode_flag": "vepa"}),
    ],
)
def test_children_of_an_interface(interfaces: Interfaces, kind: str, own: bytes, shown: dict[str, Any]) -> None:
    try:
        parent = made(interfaces, NewLink("parent", "dummy"))
        interfaces.add(NewLink("child", kind, parent=parent, details=own))
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip(f"this kernel has no {kind}")
    assert details("child")["linkinfo"]["info_data"].items() >= shown.items()


def test_addresses(interfaces: Interfaces) -> None:
    index = made(interfaces, NewLink("br0", "bridge"))
    interfaces.add_address(index, "10.1.2.3/24", broadcast="10.1.2.255")
    interfaces.add_address(index, "169.254.9.9/16", scope=253)
    interfaces.add_address(index, "fd00::5/64")
    assert sorted(interfaces.addresses(index, socket.AF_INET)) == ["10.1.2.3/24", "169.254.9.9/16"]
    assert "fd00::5/64" in interfaces.addresses(index, socket.AF_INET6)
    assert interfaces.addresses(1, socket.AF_INET) == ["127.0.0.1/8"]
    shown = subprocess.run(["ip", "-j", "addr", "show", "br0"], capture_output=True, check=True).stdout
    (link,) = json.loads(shown)
    first, second, third = (each for _, each in sorted((each["local"], each) for each in link["addr_info"])[:3])
    assert (first["broadcast"], first["scope"], second["scope"]) == ("10.1.2.255", "global", "link")
    assert third["nodad"] is True

    with pytest.raises(FileExistsError):
        interfaces.add_address(index, "10.1.2.3/24")
    interfaces.remove_address(index, "10.1.2.3/24")
    interfaces.remove_address(index, "fd00::5/64")
    assert interfaces.addresses(index, socket.AF_INET) == ["169.254.9.9/16"]
    assert "fd00::5/64" not in interfaces.addresses(index, socket.AF_INET6)


def test_a_list_that_fills_many_messages(interfaces: Interfaces) -> None:
    addresses = [f"10.{number // 250}.{number % 250}.1/24" for number in range(1500)]
    for address in addresses:
        interfaces.add_address(1, address)
    assert set(addresses) < set(interfaces.addresses(1, socket.AF_INET))


def test_routes(interfaces: Interfaces) -> None:
    index = made(interfaces, NewLink("br0", "bridge"))
    interfaces.add_address(index, "10.1.2.3/24")
    interfaces.add_address(index, "fd00::5/64")
    interfaces.set_up(index)
    for family, gateway in ((socket.AF_INET, "10.1.2.1"), (socket.AF_INET6, "fd00::1"), (socket.AF_INET, "")):
        interfaces.add_default_route(family, index, gateway)
        assert Route("", index) in interfaces.routes(family)
        with pytest.raises(FileExistsError):
            interfaces.add_default_route(family, index, gateway)
        interfaces.remove_default_route(family, index, gateway)
        assert Route("", index) not in interfaces.routes(family)
    assert Route("10.1.2.0/24", index) in interfaces.routes(socket.AF_INET)
    assert Route("fd00::/64", index) in interfaces.routes(socket.AF_INET6)
    with pytest.raises(ProcessLookupError):
        interfaces.remove_default_route(socket.AF_INET, index, "10.1.2.1")


def test_a_refusal_leaves_the_connection_usable(interfaces: Interfaces) -> None:
    for _ in range(3):
        with pytest.raises(OSError, match="No such device"):
            interfaces.remove(10_000)
        assert interfaces.link(1).name == "lo"


def test_threads_share_a_connection(interfaces: Interfaces) -> None:
    def make(number: int) -> list[str]:
        index = made(interfaces, NewLink(f"br{number}", "bridge"))
        interfaces.add_address(index, f"10.9.{number}.1/24")
        return interfaces.addresses(index, socket.AF_INET)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(make, range(40))) == [[f"10.9.{number}.1/24"] for number in range(40)]


def test_a_name_that_is_too_long_is_refused(interfaces: Interfaces) -> None:
    with pytest.raises(OSError):
        interfaces.add(NewLink("x" * 16, "bridge"))
