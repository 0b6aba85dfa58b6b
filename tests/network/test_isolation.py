"""Attacks by containers and neighbours on what networks, the host and its loopback keep from them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from lamina.network.addresses import mac_of
from lamina.network.model import EndpointOptions, PortBinding
from lamina.network.networks import Networks
from lamina.network.settings import NetworkSettings
from lamina.store.store import Store
from network.attacks import Wire, command, intruder, route_loopback_through, router_advertisement, udp_frame
from network.families import V4, V6, Family
from network.hosts import neighbour_of
from network.talk import ask, echo_server, in_namespace, listener
from support.waiting import eventually

pytestmark = pytest.mark.root

_SILENCE = 0.3  # seconds in which an answer would have come: on one machine it takes less than one millisecond
_RESTARTS = 4
_ADDRESSES = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR: addresses that come and go, rtnetlink(7)
_BOTH = NetworkSettings(ipv6=True)


def _die(networks: Networks) -> None:
    """What the kernel does to a daemon that is killed: descriptors are closed, nothing else is."""
    networks._release()


def _restart_often(networks: Networks, store: Store, exec_root: Path) -> Networks:
    """Let engines end and die by turns, each time with a new one after it; returns the last."""
    for turn in range(_RESTARTS):
        networks.close() if turn % 2 else _die(networks)
        networks = Networks.open(store, exec_root, _BOTH)
    return networks


def _end(networks: Networks, *sandboxes: str) -> None:
    for sandbox in sandboxes:
        networks.leave(sandbox)
    networks.close()


def _published(host_ip: str = "", proto: str = "tcp", host_port: int = 0) -> EndpointOptions:
    return EndpointOptions(ports=(PortBinding(container_port=80, proto=proto, host_ip=host_ip, host_port=host_port),))


def _heard(kernel: socket.socket) -> bytes:
    with suppress(BlockingIOError):
        return kernel.recv(1 << 16)
    return b""


@pytest.fixture
def settings() -> NetworkSettings:
    return _BOTH


@pytest.fixture(params=[V4, V6], ids=["ipv4", "ipv6"])
def family(request: pytest.FixtureRequest) -> Family:
    chosen: Family = request.param
    return chosen


@contextmanager
def _listening(family: Family, port: int) -> Iterator[socket.socket]:
    with socket.socket(family.socket, socket.SOCK_DGRAM) as server:
        server.bind((family.every, port))
        server.settimeout(5)
        yield server


def test_restarts_never_open_networks_to_each_other(
    machine: None, store: Store, exec_root: Path, family: Family
) -> None:
    networks = Networks.open(store, exec_root, _BOTH)
    networks.create("apart", family.options())
    victim = networks.join("one", "bridge", _published())
    networks.join("two", "apart")

    with echo_server(networks.sandbox("one"), family.of(victim), 80):
        with intruder(str(networks.sandbox("two")), family.of(victim), 80) as attempts:
            networks = _restart_often(networks, store, exec_root)
        assert ask(family.loopback, victim.ports[0].host_port) == family.of(victim)

    assert attempts.tried > 100
    assert attempts.entered == 0
    _end(networks, "one", "two")


def test_restarts_never_send_packets_for_a_network_elsewhere(
    machine: None, store: Store, exec_root: Path, family: Family
) -> None:
    """Whoever is behind the default route would get them, and could answer in the container's place."""
    networks = Networks.open(store, exec_root, _BOTH)
    gateway = family.gateway(networks.join("one", "bridge"))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.bind((0, _ADDRESSES))
        networks = _restart_often(networks, store, exec_root)
        kernel.setblocking(False)
        changes = b"".join(iter(partial(_heard, kernel), b""))

    assert socket.inet_pton(family.socket, gateway) not in changes
    _end(networks, "one")


def test_restarts_never_open_the_loopback_of_the_host(machine: None, store: Store, exec_root: Path) -> None:
    networks = Networks.open(store, exec_root, _BOTH)
    endpoint = networks.join("one", "bridge")
    path = str(networks.sandbox("one"))
    route_loopback_through(path, "127.0.0.9", endpoint.gateway)

    with echo_server(None, "127.0.0.9", 8080), intruder(path, "127.0.0.9", 8080) as attempts:
        networks = _restart_often(networks, store, exec_root)

    assert attempts.tried > 100
    assert attempts.entered == 0
    _end(networks, "one")


def test_changes_never_open_networks_to_each_other(networks: Networks, family: Family) -> None:
    networks.create("apart", family.options())
    victim = networks.join("one", "bridge")
    networks.join("two", "apart")

    with echo_server(networks.sandbox("one"), family.of(victim), 80):
        with intruder(str(networks.sandbox("two")), family.of(victim), 80) as attempts:
            for _ in range(3):
                networks.create("more", family.options())
                networks.join("three", "more", _published())
                networks.leave("three")
                networks.remove("more")

    assert attempts.tried > 100
    assert attempts.entered == 0


def test_a_connection_made_without_rules_does_not_live_on(
    machine: None, store: Store, exec_root: Path, family: Family
) -> None:
    networks = Networks.open(store, exec_root, _BOTH)
    networks.create("apart", family.options())
    victim = networks.join("one", "bridge")
    networks.join("two", "apart")
    _die(networks)
    command("nft", "flush", "ruleset")
    # The kernel tracks connections only where a rule asks for it.
    command("nft", "add table ip watch")
    command("nft", "add chain ip watch seen { type filter hook forward priority 0; }")
    command("nft", "add rule ip watch seen ct state established counter")

    with in_namespace(networks.sandbox("one"), lambda: listener(family.of(victim), 80)) as server:
        path = networks.sandbox("two")
        with in_namespace(path, lambda: socket.create_connection((family.of(victim), 80), timeout=5)) as client:
            serving, _ = server.accept()
            with serving:
                networks = Networks.open(store, exec_root, _BOTH)
                for sender, receiver in ((client, serving), (serving, client)):
                    receiver.settimeout(_SILENCE)
                    sender.send(b"who?")
                    with pytest.raises(TimeoutError):
                        receiver.recv(100)
    _end(networks, "one", "two")


def test_flushed_rules_come_back_whole_with_the_next_change(networks: Networks, family: Family) -> None:
    networks.create("apart", family.options())
    victim = networks.join("one", "bridge")
    networks.join("two", "apart")
    command("nft", "flush", "ruleset")

    networks.join("three", "bridge", _published())

    with echo_server(networks.sandbox("one"), family.of(victim), 80), pytest.raises(TimeoutError):
        in_namespace(networks.sandbox("two"), lambda: ask(family.of(victim), 80, timeout=_SILENCE))


def test_a_flow_to_a_published_port_does_not_reach_who_has_the_address_next(networks: Networks, family: Family) -> None:
    networks.create("mine", family.fixed())
    first = networks.join("one", "mine", _published(proto="udp", host_port=5300))
    neighbour = neighbour_of(networks)
    with in_namespace(neighbour, lambda: socket.socket(family.socket, socket.SOCK_DGRAM)) as client:
        client.settimeout(5)
        client.connect((family.host, 5300))
        with echo_server(networks.sandbox("one"), family.of(first), 80, udp=True):
            client.send(b"who?")
            assert client.recv(100) == family.of(first).encode()
        networks.leave("one")
        second = networks.join("two", "mine", EndpointOptions(ip=first.ip, ipv6=first.ipv6))

        with echo_server(networks.sandbox("two"), family.of(second), 80, udp=True):
            client.settimeout(_SILENCE)
            client.send(b"who?")
            with pytest.raises(OSError):
                client.recv(100)


def test_containers_that_may_not_talk_cannot_do_so_through_the_gateway(networks: Networks, family: Family) -> None:
    """Across the bridge they are held apart by its ports; this way the host itself would carry the packets."""
    networks.create("silent", family.options(**{"bridge.enable_icc": "false"}))
    victim = networks.join("one", "silent", _published())
    other = networks.join("two", "silent")
    inside = ("nsenter", f"--net={networks.sandbox('two')}", "ip")
    command(*inside, "route", "add", family.of(victim), "via", family.gateway(other))
    back = ("nsenter", f"--net={networks.sandbox('one')}", "ip")
    command(*back, "route", "add", family.of(other), "via", family.gateway(other))

    with echo_server(networks.sandbox("one"), family.of(victim), 80):
        with pytest.raises(TimeoutError):
            in_namespace(networks.sandbox("two"), lambda: ask(family.of(victim), 80, timeout=_SILENCE))
        assert ask(family.loopback, victim.ports[0].host_port) == family.of(victim)


@pytest.mark.parametrize("source", ["loopback", "neighbour", "host", "apart"])
def test_a_forged_source_is_not_believed(networks: Networks, family: Family, source: str) -> None:
    """Of the host's loopback, of a neighbour, of the host itself, of a container in another network."""
    networks.create("apart", family.options())
    neighbour_of(networks)
    other = networks.join("two", "apart")
    endpoint = networks.join("one", "bridge")
    liar = Wire(networks.sandbox("one"))
    address = family.of(other) if source == "apart" else str(getattr(family, source))

    with _listening(family, 5353) as server:
        for sender, data in ((address, b"forged"), (family.of(endpoint), b"true")):
            target = (family.gateway(endpoint), 5353)
            liar.send(udp_frame((sender, 999), target, data, to=mac_of(endpoint.gateway), mac=endpoint.mac))
        assert server.recv(100) == b"true"


def test_a_forged_answer_does_not_enter_another_network(networks: Networks, family: Family) -> None:
    """The connection of a container with a server outside is the way in that a liar in another network would take."""
    neighbour = neighbour_of(networks)
    networks.create("apart", family.options())
    victim = networks.join("one", "apart")
    endpoint = networks.join("two", "bridge")
    liar = Wire(networks.sandbox("two"))

    with in_namespace(networks.sandbox("one"), lambda: socket.socket(family.socket, socket.SOCK_DGRAM)) as client:
        client.settimeout(5)
        client.bind((family.of(victim), 4444))
        client.connect((family.neighbour, 53))
        with echo_server(neighbour, family.neighbour, 53, udp=True):
            client.send(b"who?")
            assert client.recv(100) == family.neighbour.encode()
            gateway = mac_of(endpoint.gateway)
            forged = udp_frame((family.neighbour, 53), (family.host, 4444), b"forged", to=gateway, mac=endpoint.mac)
            liar.send(forged)
            client.send(b"who?")
            assert client.recv(100) == family.neighbour.encode()


def test_a_router_advertisement_changes_nothing_on_the_host(networks: Networks) -> None:
    endpoint = networks.join("one", "bridge")
    liar = Wire(networks.sandbox("one"))
    eventually(lambda: "linkdown" not in command("ip", "-6", "route"))  # the kernel notes a carrier a little later
    before = command("ip", "-6", "route"), command("ip", "-6", "addr")

    with _listening(V4, 5353) as server:
        liar.send(router_advertisement(endpoint.mac, "2001:db8:bad::"))
        gateway = mac_of(endpoint.gateway)
        liar.send(udp_frame((endpoint.ip, 999), (endpoint.gateway, 5353), b"later", to=gateway, mac=endpoint.mac))
        assert server.recv(100) == b"later"  # what was sent before has been seen too

    assert (command("ip", "-6", "route"), command("ip", "-6", "addr")) == before
    assert "2001:db8:bad" not in "".join(before)


def test_the_host_has_no_ipv6_towards_containers_without_it(machine: None, store: Store, exec_root: Path) -> None:
    networks = Networks.open(store, exec_root)
    endpoint = networks.join("one", "bridge")
    for interface in (networks.get("bridge").bridge, endpoint.host_interface):
        settings = Path(f"/proc/sys/net/ipv6/conf/{interface}")
        assert (settings / "disable_ipv6").read_text() == "1\n"
        assert (settings / "accept_ra").read_text() == "0\n"
    _end(networks, "one")
