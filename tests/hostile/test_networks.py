"""Attacks on networks of a real daemon: its restarts, floods at published ports, and containers that forge packets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lamina.network.addresses import mac_of
from network.attacks import Wire, command, intruder, router_advertisement, udp_frame
from network.talk import in_namespace
from support.hostile import Target, attacked
from support.programs import need
from support.waiting import eventually

pytestmark = pytest.mark.root

_SENDERS = 30_000
_CONNECTIONS = 5_000
_DESCRIPTORS = 1024
_LOG = 16 << 10  # bytes: a flood is a few lines in the log


@pytest.fixture(params=["crun", "runc"])
def lone(request: pytest.FixtureRequest, busybox_tar: Path) -> Iterator[Target]:
    """A daemon of the test's own, which may kill it."""
    with attacked(busybox_tar, "--default-runtime", need(request.param)) as target:
        yield target


@contextmanager
def _container(target: Target, script: str, *options: str) -> Iterator[tuple[str, Path]]:
    """A container on a network; its ID and its network namespace."""
    id = target.cli.text("run", "-d", *options, "bb", "sh", "-c", script).strip()
    try:
        pid = target.ask("GET", f"/containers/{id}/json").json["State"]["Pid"]
        yield id, Path(f"/proc/{pid}/ns/net")
    finally:
        target.remove(id)


def _place(target: Target, id: str, network: str) -> dict[str, Any]:
    networks = target.ask("GET", f"/containers/{id}/json").json["NetworkSettings"]["Networks"]
    place: dict[str, Any] = networks[network]
    return place


@pytest.mark.parametrize("field", ["IPAddress", "GlobalIPv6Address"])
def test_restarts_and_kills_never_open_networks_to_each_other(lone: Target, field: str) -> None:
    for name in ("mine", "yours"):
        lone.cli("network", "create", "--ipv6", name)
    with (
        _container(lone, "exec httpd -f -p 80", "--network", "mine") as (victim, place),
        _container(lone, "exec sleep 600", "--network", "yours") as (_, enemy),
    ):
        address = str(_place(lone, victim, "mine")[field])
        eventually(lambda: in_namespace(place, lambda: _answers(address)))
        with intruder(str(enemy), address, 80) as attempts:
            for turn in range(4):
                lone.daemon.stop() if turn % 2 else lone.daemon.kill()
                lone.daemon.start()
        assert in_namespace(place, lambda: _answers(address))
    assert attempts.tried > 100
    assert attempts.entered == 0


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
        client.settimeout(1)
        return client.connect_ex((address, 80)) == 0


def test_a_router_advertisement_of_a_container_changes_nothing_on_the_host(either: Target) -> None:
    before = command("ip", "-6", "route"), command("ip", "-6", "addr")
    with (
        _container(either, "exec sleep 600") as (id, place),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
    ):
        endpoint = either.ask("GET", f"/containers/{id}/json").json["NetworkSettings"]["Networks"]["bridge"]
        server.settimeout(5)
        server.bind((endpoint["Gateway"], 5353))
        liar = Wire(place)
        liar.send(router_advertisement(endpoint["MacAddress"], "2001:db8:bad::"))
        sender, target = (endpoint["IPAddress"], 999), (endpoint["Gateway"], 5353)
        gateway = mac_of(endpoint["Gateway"])
        liar.send(udp_frame(sender, target, b"later", to=gateway, mac=endpoint["MacAddress"]))
        assert server.recv(100) == b"later"  # what was sent before has been seen too
        assert (command("ip", "-6", "route"), command("ip", "-6", "addr")) == before


def test_a_router_advertisement_in_a_network_with_ipv6_is_believed_by_nobody(either: Target) -> None:
    """Neither by the host, whose bridge has IPv6 then, nor by another container."""
    either.cli("network", "create", "--ipv6", "six")
    try:
        with (
            _container(either, "exec sleep 600", "--network", "six") as (id, place),
            _container(either, "exec httpd -f -p 80", "--network", "six") as (victim, other),
        ):
            routes = command("ip", "-6", "route")
            mac = str(_place(either, id, "six")["MacAddress"])
            address = str(_place(either, victim, "six")["GlobalIPv6Address"])
            eventually(lambda: _answers(address))
            Wire(place).send(router_advertisement(mac, "2001:db8:bad::"))
            assert in_namespace(place, lambda: _answers(address))  # it has been seen by now
            assert _answers(address)
            assert "2001:db8:bad" not in command("ip", "-6", "addr")
            assert command("ip", "-6", "route") == routes
            inside = command("nsenter", f"--net={other}", "ip", "-6", "addr")
            assert "2001:db8:bad" not in inside
            assert "fe80::bad" not in command("nsenter", f"--net={other}", "ip", "-6", "route")
    finally:
        either.cli("network", "rm", "six")


@pytest.fixture
def narrow(busybox_tar: Path) -> Iterator[Target]:
    """A daemon that may have few descriptors open."""
    with attacked(busybox_tar, descriptors=_DESCRIPTORS) as target:
        yield target


def _well(target: Target) -> int:
    """How many descriptors the daemon has open, once it has answered."""
    assert target.ask("GET", "/_ping").status == 200
    assert len(target.ask("GET", "/containers/json").json) == 1
    assert target.daemon.process is not None
    return len(os.listdir(f"/proc/{target.daemon.process.pid}/fd"))


def _published(target: Target, id: str, port: str) -> tuple[str, int]:
    ports = target.ask("GET", f"/containers/{id}/json").json["NetworkSettings"]["Ports"][port]
    return "::1", next(int(binding["HostPort"]) for binding in ports if binding["HostIp"] == "::")


def test_a_flood_of_senders_at_a_published_port_leaves_the_api_alone(narrow: Target) -> None:
    with _container(narrow, "exec sleep 600", "-p", "5300/udp") as (id, _):
        place = _published(narrow, id, "5300/udp")
        resting = _well(narrow)
        numbers = [number for number in range(1024, 65536) if number != place[1]]
        for sent, number in enumerate(numbers[:_SENDERS]):
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
                with suppress(OSError):  # somebody else's port
                    sender.bind(("::1", number))
                sender.sendto(b"flood", place)
            if sent % 3000 == 0:
                assert _well(narrow) < resting + 20
        assert _well(narrow) < resting + 20
    assert len(narrow.daemon.log) < _LOG


def test_a_flood_of_connections_to_a_published_port_leaves_the_api_alone(narrow: Target) -> None:
    with _container(narrow, "exec httpd -f -p 80", "-p", "80") as (id, _):
        place = _published(narrow, id, "80/tcp")
        resting = _well(narrow)
        with ExitStack() as flood:
            for number in range(_CONNECTIONS):
                attempt = flood.enter_context(socket.socket(socket.AF_INET6))
                attempt.setblocking(False)
                attempt.connect_ex(place)
                if number % 500 == 0:
                    assert _well(narrow) < resting + 20
        eventually(lambda: _well(narrow) < resting + 5)
        with socket.create_connection(place, timeout=20) as client:
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1")
    assert len(narrow.daemon.log) < _LOG
