"""Routing between the host's interfaces, which every container engine must allow. Off is the kernel's default."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from lamina.errors import LaminaError
from lamina.network.nft import Nft

GUARD = "lamina-forwarding"
_LOG = logging.getLogger("lamina.network")
_SETTINGS = Path("/proc/sys/net")
_SWITCHES = {4: ("ipv4/ip_forward",), 6: ("ipv6/conf/default/forwarding", "ipv6/conf/all/forwarding")}
# The chains of iptables, where rules for our bridges are put (`admit`), are none of those that are told of.
_ADMITTED = frozenset({("ip", "filter", "FORWARD"), ("ip6", "filter", "FORWARD")})
_CHAIN = re.compile(
    r"table (?P<family>\w+) (?P<table>\S+) \{|chain (?P<chain>\S+) \{|hook forward .*policy (?P<policy>\w+)"
)
_REFUSING = re.compile(r"(?:counter packets \d+ bytes \d+ )?(?:drop|reject\b.*)")


class PacketForwarding:
    """Let the host route packets. Where it did not before, it does so for container networks alone.

    The guard is a table of its own, shared by all engines of the machine. It drops packets between interfaces that are
    no bridges, and outlives the engines, as the kernel's switch does: both are gone after a reboot.
    """

    def __init__(self, nft: Nft, *, allowed: bool = True, guarded: bool = True) -> None:
        self._nft = nft
        self._allowed = allowed
        self._guarded = guarded

    def allow(self, version: int) -> None:
        """Let the host route packets of an IP version between its interfaces.

        A router ignores router advertisements (RFC 4861, 6.2.7), so interfaces that take them are told to go on: the
        host may have its own way out from there.
        """
        closed = [switch for switch in _SWITCHES[version] if (_SETTINGS / switch).read_text().strip() != "1"]
        if not closed or not self._allowed:
            return
        if self._guarded:
            self._guard(version)
        if version == 6:
            _keep_listening_to_routers()
        for switch in closed:
            (_SETTINGS / switch).write_text("1")

    def _guard(self, version: int) -> None:
        chain = f"forward{version}"
        self._nft.run(
            f"add table inet {GUARD}\n"
            f"add chain inet {GUARD} {chain} {{ type filter hook forward priority filter; policy accept; }}\n"
            f"flush chain inet {GUARD} {chain}\n"
            f'add rule inet {GUARD} {chain} meta nfproto ipv{version} meta iifkind != "bridge" '
            'meta oifkind != "bridge" drop\n'
        )

    def tell_of_others(self) -> None:
        """Log which chains of the host's own drop forwarded packets: no rule of ours gets past them."""
        for family, table, chain, policy in _forward_chains(self._nft):
            if (family, table, chain) in _ADMITTED or table.startswith("lamina-"):
                continue
            if policy == "drop" or _refuses_the_rest(self._nft, f"{family} {table} {chain}"):
                _LOG.warning(
                    "the chain %s of the table %s %s drops forwarded packets: "
                    "containers reach others, and are reached, only where its rules let them",
                    *(chain, family, table),
                )


def _forward_chains(nft: Nft) -> list[tuple[str, str, str, str]]:
    """Return the base chains of the hook forward: family, table, chain and policy."""
    chains = []
    family = table = chain = ""
    for match in _CHAIN.finditer(nft.run("list chains\n")):
        family, table = match["family"] or family, match["table"] or table
        chain = match["chain"] or chain
        if match["policy"]:
            chains.append((family, table, chain, match["policy"]))
    return chains


def _refuses_the_rest(nft: Nft, chain: str) -> bool:
    """Return whether the last rule of a chain refuses all that comes to it."""
    try:
        lines = nft.run(f"list chain {chain}\n").splitlines()
    except LaminaError:  # it has just gone
        return False
    rules = [line.strip().partition(" # handle")[0] for line in lines if " # handle" in line and "{" not in line]
    return bool(rules) and _REFUSING.fullmatch(rules[-1]) is not None


def _keep_listening_to_routers() -> None:
    for setting in (_SETTINGS / "ipv6/conf").glob("*/accept_ra"):
        if setting.parent.name not in ("all", "default") and setting.read_text().strip() == "1":
            setting.write_text("2")  # also while forwarding: Linux, networking/ip-sysctl
