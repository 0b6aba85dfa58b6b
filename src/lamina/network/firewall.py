"""The nftables table of one daemon in the kernel: address translation, isolation of networks, published ports.

Nothing outside the table is touched, except where iptables forwards nothing by default. A packet must be accepted by
every table, and Docker and ufw set the policy of iptables' FORWARD chain to drop. There, two ACCEPT rules for each
bridge let packets pass on to our own table, which decides.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress

from lamina.errors import LaminaError, Unsupported
from lamina.network.abandoned_tables import swept
from lamina.network.model import Endpoint, Network, PortBinding
from lamina.network.nft import Nft
from lamina.network.ruleset import Ruleset
from lamina.network.table import removal

_FAMILIES = ("ip", "ip6")
_CHAINS = ("DOCKER-USER", "FORWARD")  # Docker keeps the first one for others' rules
_RULE = re.compile(r'(?:iifname|oifname) "(?P<bridge>[^"]+)" .*accept.* # handle (?P<handle>\d+)')


def admit(nft: Nft, bridge: str) -> None:
    """Let iptables and ip6tables pass what goes through `bridge`, where they would drop it; rules that are there
    stay."""
    for family in _FAMILIES:
        if "policy drop" not in _listed(nft, family, "FORWARD"):
            continue
        chain = next((name for name in _CHAINS if _listed(nft, family, name)), "FORWARD")
        if not _handles(nft, family, chain, bridge):
            for match in ("iifname", "oifname"):
                nft.run(f'insert rule {family} filter {chain} {match} "{bridge}" counter accept\n')


def dismiss(nft: Nft, bridge: str) -> None:
    """Take the rules of `admit` away; none there is fine."""
    for family in _FAMILIES:
        for chain in _CHAINS:
            for handle in _handles(nft, family, chain, bridge):
                nft.run(f"delete rule {family} filter {chain} handle {handle}\n")


def _handles(nft: Nft, family: str, chain: str, bridge: str) -> list[str]:
    matches = (_RULE.search(line) for line in _listed(nft, family, chain).splitlines())
    return [rule["handle"] for rule in matches if rule and rule["bridge"] == bridge]


def _listed(nft: Nft, family: str, chain: str) -> str:
    """Return the chain as text; "" where there is none."""
    try:
        return nft.run(f"list chain {family} filter {chain}\n")
    except LaminaError:
        return ""


class Firewall:
    """The table named `table`, which holds what `replace` and the changes since then said. Thread-safe.

    `direct` is what `Ruleset` says of it.
    """

    def __init__(self, nft: Nft, table: str, *, direct: bool = False) -> None:
        self._nft = nft
        self._lock = threading.Lock()
        self._rules = self._none = Ruleset(table, direct)

    def starting(self) -> AbstractContextManager[None]:
        """Let a block make the table and then its bridges. First, tables that others abandoned are deleted."""
        return swept(self._nft, self._rules.table)

    def replace(self, networks: Iterable[Network], endpoints: Iterable[Endpoint]) -> None:
        """Put a table for these networks and endpoints in the place of an earlier engine's, in one transaction.

        Without networks there is nothing to protect, so a kernel without such tables is no error then. Raise
        Unsupported otherwise.
        """
        with self._lock:
            rules = self._none
            for network in networks:
                rules = rules.with_network(network)
            for endpoint in endpoints:
                rules = rules.with_ports(endpoint.ports)
            try:
                self._nft.run(rules.replacement())
            except Unsupported:
                if rules != self._none:
                    raise
            self._rules = rules

    def remove(self) -> None:
        """Remove the table; one that is gone already is ignored."""
        with self._lock:
            with suppress(Unsupported):  # there was never a table
                self._nft.run(removal(self._rules.table))
            self._rules = self._none

    def close(self) -> None:
        """Free the connection to the kernel; the table stays."""
        self._nft.close()

    def add_network(self, network: Network) -> None:
        """Isolate a network. Call it before its bridge is up; a second call does nothing."""
        with self._lock:
            self._change(self._rules.with_network(network))
        admit(self._nft, network.bridge)

    def remove_network(self, network: Network) -> None:
        """Forget a network. Call it when its bridge is gone; a second call does nothing."""
        dismiss(self._nft, network.bridge)
        with self._lock:
            self._change(self._rules.without_network(network))

    def publish(self, ports: Iterable[PortBinding]) -> None:
        """Send what reaches the host ports to the containers. Bindings between IPv4 and IPv6 are ignored."""
        with self._lock:
            self._change(self._rules.with_ports(ports))

    def unpublish(self, ports: Iterable[PortBinding]) -> None:
        """Stop sending what reaches the host ports to the containers; other bindings are ignored."""
        with self._lock:
            self._change(self._rules.without_ports(ports))

    def _change(self, rules: Ruleset) -> None:
        commands = self._rules.changes_to(rules)
        if commands:
            try:
                self._nft.run(commands)
            except LaminaError:  # the table is not what we left: somebody flushed the machine's rules
                self._nft.run(rules.replacement())
        self._rules = rules
