"""Sandboxes in networks, and what they are answered when they ask for names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lamina.network.model import EndpointOptions
from lamina.network.names.protocol import Forwarding
from lamina.network.namespaces import inside
from lamina.network.networks import Networks
from support import dns
from support.processes import processes_naming

NOWHERE = Forwarding()


def join(
    networks: Networks, id: str, *places: str, forwarding: Forwarding = NOWHERE, names: tuple[str, ...] = ()
) -> Path:
    """Put a sandbox, new or not, into networks under names, as containers are; its namespace."""
    for network in places:
        networks.join(id, network, EndpointOptions(names=(id, *names)))
    networks.answer_names(id, forwarding)
    return networks.sandbox(id)


def ask(
    namespace: Path, name: str, type: int = dns.A, *, tcp: bool = False, edns: int = 0, timeout: float = 10
) -> dns.Answer:
    """What a sandbox is answered."""
    with inside(namespace):
        return dns.ask(name, type, tcp=tcp, edns=edns, timeout=timeout)


def answered_again(namespace: Path, name: str) -> list[str | bytes]:
    """What a client hears that repeats its question each second, as resolvers do; [] for no answer yet."""
    with suppress(OSError):
        return ask(namespace, name, timeout=1).data
    return []


def addresses(networks: Networks, id: str) -> list[str]:
    """The IPv4 addresses of a sandbox."""
    return [endpoint.ip for endpoint in networks.joined(id)]


def keepers(exec_root: Path) -> dict[str, int]:
    """The processes that serve names below an exec root, by what they are called."""
    names = {}
    for line in processes_naming(str(exec_root / "names")):
        process = int(line.partition(":")[0])
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            names[Path(f"/proc/{process}/comm").read_text().strip()] = process
    return names
