"""The machines around the one that is tested."""

from __future__ import annotations

from pathlib import Path

from lamina.network.networks import Networks
from network.attacks import command
from network.families import V4, V6


def neighbour_of(networks: Networks) -> Path:
    """Another machine on a link with this one, which sends to it what it has no better route for."""
    path = networks.sandbox("neighbour")
    inside = ("nsenter", f"--net={path}")
    command("ip", "link", "add", "wire", "type", "veth", "peer", "name", "eth0", "netns", str(path))
    command(*inside, "sysctl", "-q", "-w", "net.ipv6.conf.eth0.disable_ipv6=0")
    for family in (V4, V6):
        nodad = ("nodad",) if family is V6 else ()
        command("ip", "addr", "add", f"{family.host}/{family.prefix}", "dev", "wire", *nodad)
        command(*inside, "ip", "addr", "add", f"{family.neighbour}/{family.prefix}", "dev", "eth0", *nodad)
    command("ip", "link", "set", "wire", "up")
    command(*inside, "ip", "link", "set", "eth0", "up")
    for family in (V4, V6):
        command(*inside, "ip", f"-{family.version}", "route", "add", "default", "via", family.host)
    return path
