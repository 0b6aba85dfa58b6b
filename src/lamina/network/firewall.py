"""The nftables table of one daemon in the kernel: address translation, isolation of networks, published ports.

Commands run without a process: libnftables by ctypes, or the `nft` program where it is missing. A call costs 0.2 ms
through the library and 30 ms through the program. Commands of one call are one transaction: the kernel takes all of
them or none (nft(8), "atomic rule replacement").

Nothing outside the table is touched, except where iptables forwards nothing by default. A packet must be accepted by
every table, and Docker and ufw set the policy of iptables' FORWARD chain to drop. There, two ACCEPT rules for each
bridge let packets pass on to our own table, which decides.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable
from typing import Protocol

from lamina.errors import Internal, LaminaError, Unavailable
from lamina.network.model import Endpoint, Network, PortBinding
from lamina.network.ruleset import Ruleset
from lamina.network.table import removal

_HANDLES = 1 << 3  # NFT_CTX_OUTPUT_HANDLE: lists show the numbers by which rules can be deleted
_FAMILIES = ("ip", "ip6")
_CHAINS = ("DOCKER-USER", "FORWARD")  # Docker keeps the first one for others' rules
_RULE = re.compile(r'(?:iifname|oifname) "(?P<bridge>[^"]+)" .*accept.* # handle (?P<handle>\d+)')


class Nft(Protocol):
    """What changes the packet filter: libnftables where it is installed, else the program `nft`."""

    def run(self, commands: str) -> str:
        """Apply `commands` as one transaction and return what they print. Raise Internal with nft's words."""

    def close(self) -> None:
        """Free what is held; a second call does nothing."""


class LibraryNft:
    """nft by libnftables. The netlink socket belongs to the network namespace the object was made in. Thread-safe."""

    def __init__(self) -> None:
        library = ctypes.CDLL("libnftables.so.1")
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        for name in ("nft_ctx_buffer_error", "nft_ctx_buffer_output", "nft_ctx_free"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        for name in ("nft_ctx_get_error_buffer", "nft_ctx_get_output_buffer"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
            getattr(library, name).restype = ctypes.c_char_p
        self._library = library
        self._lock = threading.Lock()
        self._context: int | None = library.nft_ctx_new(0)
        library.nft_ctx_output_set_flags(self._context, _HANDLES)
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_buffer_output(self._context)

    def run(self, commands: str) -> str:
        with self._lock:
            if self._context is None:
                raise Internal("nftables was used after it was closed")
            failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
            # Both buffers must be read after each call: reading resets them.
            errors = (self._library.nft_ctx_get_error_buffer(self._context) or b"").decode(errors="replace")
            output = (self._library.nft_ctx_get_output_buffer(self._context) or b"").decode(errors="replace")
        if failed:
            raise Internal(f"nftables refused a change: {errors.strip()}", commands=commands)
        return output

    def close(self) -> None:
        with self._lock:
            if self._context is not None:
                self._library.nft_ctx_free(self._context)
                self._context = None


class ProgramNft:
    """nft by the program of that name, one process a call."""

    def __init__(self, program: str) -> None:
        self._program = program

    def run(self, commands: str) -> str:
        done = subprocess.run(
            [self._program, "-a", "-f", "-"], input=commands, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Internal(f"nftables refused a change: {done.stderr.strip()}", commands=commands)
        return done.stdout

    def close(self) -> None:
        pass


def open_nft() -> Nft:
    """Return the quickest nft this machine has. Raise Unavailable where it has none."""
    try:
        return LibraryNft()
    except OSError:
        program = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        raise Unavailable("nftables is not installed", advice="Install the package nftables")
    return ProgramNft(program)


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
                rules = rules.with_ports(endpoint.ports)
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
