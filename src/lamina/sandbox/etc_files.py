"""/etc/hostname, /etc/hosts and /etc/resolv.conf of a sandbox: written on the host, mounted over the image's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path

from lamina.linux.files import write_for_containers
from lamina.network.model import Endpoint
from lamina.runtime.spec import BindMount
from lamina.sandbox.spec import Defaults, SandboxSpec

NAMES = ("resolv.conf", "hostname", "hosts")
FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")  # what Docker takes where the host has only local resolvers


def write_files(spec: SandboxSpec, endpoints: Sequence[Endpoint], defaults: Defaults) -> None:
    """Write the three files into the sandbox's folder. Raise OSError."""
    host = spec.host
    write_for_containers(spec.folder / "hostname", f"{spec.config.hostname}\n")
    resolv = resolv_conf(
        _read(defaults.host_resolv_conf),
        servers=host.dns or defaults.dns,
        search=host.dns_search or defaults.dns_search,
        options=host.dns_options or defaults.dns_options,
        keep_local=host.network_mode == "host",
    )
    write_for_containers(spec.folder / "resolv.conf", resolv)
    write_hosts(spec, endpoints)


def write_hosts(spec: SandboxSpec, endpoints: Sequence[Endpoint]) -> None:
    """Write /etc/hosts, in place: the file may be mounted in a running container. Raise OSError."""
    if spec.host.network_mode == "host" and not spec.host.extra_hosts:
        text = _read(Path("/etc/hosts"))
    else:
        gateway = next((endpoint.gateway for endpoint in endpoints if endpoint.gateway), "")
        name, domain = spec.config.hostname, spec.config.domainname
        names = f"{name}.{domain} {name}" if domain else name
        own = [(address, names) for endpoint in endpoints for address in (endpoint.ip, endpoint.ipv6)]
        text = hosts([*spec.linked, *own], extra=spec.host.extra_hosts, gateway=gateway)
    write_for_containers(spec.folder / "hosts", text)


def file_mounts(spec: SandboxSpec) -> tuple[BindMount, ...]:
    """Return the mounts of the three files, except where the sandbox has a mount of its own.

    Sandboxes that share a network share the files as well.
    """
    folder = spec.donors["network"].folder if "network" in spec.donors else spec.folder
    taken = {point.destination for point in spec.mounts}
    return tuple(
        BindMount(str(folder / name), f"/etc/{name}", read_only=spec.host.readonly_rootfs)
        for name in NAMES
        if f"/etc/{name}" not in taken
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def resolv_conf(
    host_text: str,
    *,
    servers: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    keep_local: bool = False,
) -> str:
    """Return a resolv.conf made from the host's text; each part is replaced where the caller names its own.

    Resolvers on the loopback of the host cannot be reached from another network namespace. They are left out, and the
    fallback servers stand in when none is left, unless `keep_local` (host network). A search of "." means none.
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
    servers = [words[1] for words in lines if words[0] == "nameserver" and len(words) > 1]
    return [name for name in servers if keep_local or not _is_local(name)] or list(FALLBACK_SERVERS)


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


def hosts(entries: Iterable[tuple[str, str]] = (), *, extra: Iterable[str] = (), gateway: str = "") -> str:
    """Return an /etc/hosts: the usual local names, then `extra`, then `entries`.

    `extra` are `name:ip`, where `host-gateway` stands for `gateway`. `entries` are the address and the names, separated
    by spaces.
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
