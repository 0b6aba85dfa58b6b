"""What the host forwards when an engine runs on it, and what is said of firewalls that stand in the way."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from lamina.api.networks import NetworkOptions
from lamina.network.networks import Networks
from lamina.network.settings import NetworkSettings
from lamina.store.store import Store
from network.attacks import command
from network.families import V4, V6, Family
from network.hosts import neighbour_of
from network.talk import ask, echo_server, in_namespace

pytestmark = pytest.mark.root


def _second_neighbour(networks: Networks) -> Path:
    """A machine on another link, which sends to the host what it has no better route for."""
    path = networks.sandbox("second")
    inside = ("nsenter", f"--net={path}")
    command("ip", "link", "add", "other", "type", "veth", "peer", "name", "eth0", "netns", str(path))
    command(*inside, "sysctl", "-q", "-w", "net.ipv6.conf.eth0.disable_ipv6=0")
    for host, own, nodad in (("10.8.0.1/24", "10.8.0.2/24", ()), ("fd08::1/64", "fd08::2/64", ("nodad",))):
        command("ip", "addr", "add", host, "dev", "other", *nodad)
        command(*inside, "ip", "addr", "add", own, "dev", "eth0", *nodad)
    command("ip", "link", "set", "other", "up")
    command(*inside, "ip", "link", "set", "eth0", "up")
    for gateway in ("10.8.0.1", "fd08::1"):
        command(*inside, "ip", "route", "add", "default", "via", gateway)
    return path


def _switch(value: str) -> None:
    for switch in ("net.ipv4.ip_forward", "net.ipv6.conf.default.forwarding", "net.ipv6.conf.all.forwarding"):
        command("sysctl", "-q", "-w", f"{switch}={value}")


@pytest.mark.parametrize("family", [V4, V6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("before", ["off", "on", "no-drop"])
def test_the_host_does_not_become_a_router_for_others(
    machine: None, store: Store, exec_root: Path, family: Family, before: str
) -> None:
    _switch("1" if before == "on" else "0")
    networks = Networks.open(store, exec_root, NetworkSettings(ipv6=True, ip_forward_no_drop=before == "no-drop"))
    neighbour, second = neighbour_of(networks), _second_neighbour(networks)
    networks.join("one", "bridge")

    with echo_server(neighbour, family.neighbour, 80):
        assert in_namespace(networks.sandbox("one"), lambda: ask(family.neighbour, 80)) == family.neighbour
        if before == "off":
            with pytest.raises(TimeoutError):
                in_namespace(second, lambda: ask(family.neighbour, 80, timeout=0.3))
        else:
            assert in_namespace(second, lambda: ask(family.neighbour, 80)) == family.neighbour
    for sandbox in ("one", "neighbour", "second"):
        networks.leave(sandbox)
    networks.close()


def test_forwarding_may_be_left_to_the_host(machine: None, store: Store, exec_root: Path) -> None:
    _switch("0")
    networks = Networks.open(store, exec_root, NetworkSettings(ip_forward=False))
    networks.create("mine", NetworkOptions(enable_ipv6=True))

    assert command("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding") == "0\n0\n"
    networks.close()


@pytest.mark.parametrize(
    ("policy", "rule", "told"),
    [
        ("drop", "", True),
        ("accept", "reject with icmpx type admin-prohibited", True),
        ("accept", "counter drop", True),
        ("accept", "", False),
        ("accept", 'iifname "wg0" drop', False),
    ],
)
def test_a_firewall_that_drops_what_is_forwarded_is_named(
    machine: None,
    store: Store,
    exec_root: Path,
    caplog: pytest.LogCaptureFixture,
    policy: str,
    rule: str,
    told: bool,
) -> None:
    command("nft", "add table inet site")
    command("nft", f"add chain inet site through {{ type filter hook forward priority 5; policy {policy}; }}")
    if rule:
        command("nft", f"add rule inet site through {rule}")

    with caplog.at_level(logging.WARNING, "lamina.network"):
        Networks.open(store, exec_root).close()

    sentence = "the chain through of the table inet site drops forwarded packets"
    assert (sentence in caplog.text) == told
    assert "lamina-" not in caplog.text
