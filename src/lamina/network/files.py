"""The texts of a container's /etc/resolv.conf, /etc/hosts and /etc/hostname. No I/O here."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")  # what Docker takes where the host has only local resolvers


def resolv_conf(
    host_text: str,
    *,
    servers: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    keep_local: bool = False,
) -> str:
    """A resolv.conf made from the host's text, each part replaced where the caller names its own.

    Resolvers on the loopback of the host cannot be reached from another network namespace: they are left out, and
    the fallback servers stand in when none is left, unless `keep_local` (host network). A search of "." means none.
    """
    lines = [line.split() for line in host_text.splitlines() if line.strip() and line.lstrip()[0] not in "#;"]
    names = list(servers) or _host_servers(lines, keep_local)
    domains = list(search) or _words(lines, "search") or _words(lines, "domain")
    chosen = list(options) or _words(lines, "options")
    text = [f"nameserver {name}" for name in names]
    if domains and domains != ["."]:
        text.append("search " + " ".join(domains))
    if chosen:
        text.append("options " + " ".join(chosen))
    return "\n".join(text) + "\n"


def _host_servers(lines: Iterable[list[str]], keep_local: bool) -> list[str]:
    found = [words[1] for words in lines if words[0] == "nameserver" and len(words) > 1]
    kept = [name for name in found if keep_local or not _is_local(name)]
    return kept or list(FALLBACK_SERVERS)


def _is_local(server: str) -> bool:
    try:
        address = ipaddress.ip_address(server.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or (address.version == 6 and address.is_link_local)


def _words(lines: Iterable[list[str]], key: str) -> list[str]:
    found: list[str] = []
    for words in lines:
        if words[0] == key:
            found = words[1:]
    return found


def hosts(entries: Iterable[tuple[str, str]] = (), *, extra: Iterable[str] = (), gateway: str = "") -> str:
    """An /etc/hosts: the usual local names, `extra` (`name:ip`, `host-gateway` standing for `gateway`), `entries`.

    `entries` are (ip, names separated by spaces), such as the container's own.
    """
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "ff00::0\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
    ]
    for item in extra:
        name, _, address = item.replace("=", ":", 1).partition(":")
        lines.append(f"{gateway if address == 'host-gateway' else address}\t{name}")
    lines.extend(f"{ip}\t{names}" for ip, names in entries if ip)
    return "\n".join(lines) + "\n"


def hostname(name: str) -> str:
    """The text of /etc/hostname."""
    return f"{name}\n"
