"""The resolv.conf of a sandbox: made from the host's, with what a request or the engine's settings say instead.

Rule: moby libnetwork/internal/resolvconf. In a user network it names the engine's own server, which forwards what it
does not know to the servers that would stand there otherwise.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lamina.network.names.protocol import Forwarding
from lamina.network.names.redirection import ADDRESS

FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")  # what Docker takes where the host has only local resolvers
_MOST_SERVERS = 3  # resolv.conf(5), MAXNS


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What a resolv.conf says. `named` tells whether the servers were named for containers, or are the host's."""

    servers: tuple[str, ...]
    search: tuple[str, ...]
    options: tuple[str, ...]
    named: bool

    @staticmethod
    def parse(
        host_text: str, servers: Sequence[str] = (), search: Sequence[str] = (), options: Sequence[str] = ()
    ) -> ResolvConf:
        """Return what the host's text says, each part replaced where the caller names its own.

        A search of "." means none.
        """
        lines = [line.split() for line in host_text.splitlines() if line.strip() and line.lstrip()[0] not in "#;"]
        hosts = [words[1] for words in lines if words[0] == "nameserver" and len(words) > 1]
        domains = tuple(search or _words(lines, "search") or _words(lines, "domain"))
        return ResolvConf(
            servers=tuple(servers or hosts),
            search=() if domains == (".",) else domains,
            options=tuple(options or _words(lines, "options")),
            named=bool(servers),
        )

    def for_host(self) -> str:
        """Return the text for a sandbox in the host's network namespace."""
        return self._text(self.servers or FALLBACK_SERVERS, self.options)

    def for_default_bridge(self) -> str:
        """Return the text for a sandbox that asks other servers by itself.

        Resolvers on the loopback of the host cannot be reached from another network namespace. They are left out, and
        the fallback servers stand in when none is left.
        """
        reachable = [server for server in self.servers if self.named or not _is_local(server)]
        return self._text(reachable or FALLBACK_SERVERS, self.options)

    def for_user_network(self) -> str:
        """Return the text for a sandbox that asks the engine's server, and is to try names as they are first."""
        others = tuple(option for option in self.options if not option.startswith("ndots"))  # a bad one is no use
        options = self.options if self._ndots else (*others, "ndots:0")
        forwarding = self.forwarding()
        place = "this container" if forwarding.inside else "the host"
        servers = " ".join(forwarding.servers) or "nobody"
        return self._text([ADDRESS], options) + f"# names of other places are asked from {place}: {servers}\n"

    def forwarding(self) -> Forwarding:
        """Return where the engine's server forwards to. Only servers that were named are asked from the sandbox."""
        servers = [server for server in self.servers if not (self.named and server == ADDRESS)]  # never itself
        return Forwarding(tuple(servers[:_MOST_SERVERS]), inside=self.named, ndots=self._ndots)

    @property
    def _ndots(self) -> bool:
        return any(option.startswith("ndots:") and option[6:].isdecimal() for option in self.options)

    def _text(self, servers: Iterable[str], options: Sequence[str]) -> str:
        lines = [f"nameserver {server}" for server in servers]
        if self.search:
            lines.append("search " + " ".join(self.search))
        if options:
            lines.append("options " + " ".join(options))
        return "\n".join(lines) + "\n"


def _is_local(server: str) -> bool:
    try:
        address = ipaddress.ip_address(server.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or (address.version == 6 and address.is_link_local)


def _words(lines: Iterable[list[str]], key: str) -> list[str]:
    values: list[str] = []
    for words in lines:
        if words[0] == key:
            values = words[1:]
    return values
