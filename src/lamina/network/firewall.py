"""The nftables table of one daemon in the kernel: address translation, isolation of networks, published ports.

Nothing outside the table is touched, but for the rules that let packets past another firewall (`neighbours`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from lamina.errors import LaminaError
from lamina.network.model import Endpoint, Network, PortBinding
from lamina.network.neighbours import admit, dismiss
from lamina.network.nftables import Nft
from lamina.network.ruleset import Ruleset, removal


class Firewall:
    """The table named `table`, which holds what `replace` and the changes since then said. Thread-safe."""

    def __init__(self, nft: Nft, table: str) -> None:
        self._nft = nft
        self._lock = threading.Lock()
        self._rules = Ruleset(table)

    def replace(self, networks: Iterable[Network], endpoints: Iterable[Endpoint]) -> None:
        """Put a table for these networks and endpoints in the place of an earlier engine's, in one transaction."""
        with self._lock:
            rules = Ruleset(self._rules.table)
            for network in networks:
                rules = rules.with_network(network)
            for endpoint in endpoints:
                rules = rules.with_ports(endpoint.ip, endpoint.ports)
            self._nft.run(rules.replacement())
            self._rules = rules

    def remove(self) -> None:
        """Remove the table; one that is gone already is ignored."""
        with self._lock:
            self._nft.run(removal(self._rules.table))
            self._rules = Ruleset(self._rules.table)

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

    def publish(self, ip: str, ports: Iterable[PortBinding]) -> None:
        """Send what reaches the bindings' host ports to `ip`. Bindings of IPv6 addresses are ignored."""
        with self._lock:
            self._change(self._rules.with_ports(ip, ports))

    def unpublish(self, ip: str, ports: Iterable[PortBinding]) -> None:
        """Stop sending what reaches the host ports to `ip`; bindings it does not have are ignored."""
        with self._lock:
            self._change(self._rules.without_ports(ip, ports))

    def _change(self, rules: Ruleset) -> None:
        commands = self._rules.changes_to(rules)
        if commands:
            try:
                self._nft.run(commands)
            except LaminaError:  # the table is not what we left: somebody flushed the machine's rules
                self._nft.run(rules.replacement())
        self._rules = rules
