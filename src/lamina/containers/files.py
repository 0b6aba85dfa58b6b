"""/etc/hostname, /etc/hosts and /etc/resolv.conf: written before each start, mounted over the image's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lamina.containers.record import Record
from lamina.linux.files import write_for_containers
from lamina.network.files import hostname, hosts, resolv_conf
from lamina.network.model import Endpoint
from lamina.sandbox.spec import Defaults

NAMES = ("resolv.conf", "hostname", "hosts")


def write(
    directory: Path,
    record: Record,
    endpoints: Sequence[Endpoint],
    linked: Iterable[tuple[str, str]],
    defaults: Defaults,
) -> None:
    """Writes the three files into `directory`. `linked` are further entries of hosts: (address, names)."""
    host = record.host_config
    on_host = host.network_mode == "host"
    write_for_containers(directory / "hostname", hostname(record.config.hostname))
    resolv = resolv_conf(
        _read(defaults.host_resolv_conf),
        servers=host.dns or defaults.dns,
        search=host.dns_search or defaults.dns_search,
        options=host.dns_options or defaults.dns_options,
        keep_local=on_host,
    )
    write_for_containers(directory / "resolv.conf", resolv)
    gateway = next((endpoint.gateway for endpoint in endpoints if endpoint.gateway), "")
    own = [(endpoint.ip, _own_names(record)) for endpoint in endpoints]
    text = hosts([*linked, *own], extra=host.extra_hosts, gateway=gateway)
    write_for_containers(directory / "hosts", _read(Path("/etc/hosts")) if on_host and not host.extra_hosts else text)


def _own_names(record: Record) -> str:
    name, domain = record.config.hostname, record.config.domainname
    return f"{name}.{domain} {name}" if domain else name


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
