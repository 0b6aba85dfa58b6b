"""/etc/hostname, /etc/hosts and /etc/resolv.conf of a sandbox: written on the host, mounted over the image's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lamina.linux.files import write_for_containers
from lamina.network.model import Endpoint
from lamina.network.networks import has_names
from lamina.runtime.spec import BindMount
from lamina.sandbox.resolv_conf import ResolvConf
from lamina.sandbox.spec import Defaults, SandboxSpec

NAMES = ("resolv.conf", "hostname", "hosts")


Gateways = Callable[[], Sequence[str]]  # what `host-gateway` stands for


def write_files(spec: SandboxSpec, endpoints: Sequence[Endpoint], defaults: Defaults, gateways: Gateways) -> None:
    """Write the three files into the sandbox's folder. Raise OSError, and what `gateways` raises."""
    write_for_containers(spec.folder / "hostname", f"{spec.config.hostname}\n")
    conf = resolv_conf(spec, defaults)
    if spec.host.network_mode == "host":
        resolv = conf.for_host()
    else:
        resolv = conf.for_user_network() if has_names(endpoints) else conf.for_default_bridge()
    write_for_containers(spec.folder / "resolv.conf", resolv)
    write_hosts(spec, endpoints, gateways)
    owner = spec.userns.ids.root if spec.userns else (os.geteuid(), os.getegid())
    for name in NAMES:
        os.chown(spec.folder / name, *owner)


def begin_to_ask(spec: SandboxSpec, endpoints: Sequence[Endpoint], defaults: Defaults) -> None:
    """Change /etc/resolv.conf of a running sandbox that came into its first user network. Raise OSError.

    A file that is not as we wrote it stays: somebody wanted it so.
    """
    conf, path = resolv_conf(spec, defaults), spec.folder / "resolv.conf"
    if has_names(endpoints) and _read(path) == conf.for_default_bridge():
        write_for_containers(path, conf.for_user_network())


def resolv_conf(spec: SandboxSpec, defaults: Defaults) -> ResolvConf:
    """Return what the host's resolv.conf and the sandbox's own wishes come to."""
    host = spec.host
    return ResolvConf.parse(
        _read(defaults.host_resolv_conf),
        servers=host.dns or defaults.dns,
        search=host.dns_search or defaults.dns_search,
        options=host.dns_options or defaults.dns_options,
    )


def write_hosts(spec: SandboxSpec, endpoints: Sequence[Endpoint], gateways: Gateways) -> None:
    """Write /etc/hosts, in place: the file may be mounted in a running container.

    `gateways` is asked where a name is to lead to the host. Raise OSError, and what it raises.
    """
    if spec.host.network_mode == "host" and not spec.host.extra_hosts:
        text = _read(Path("/etc/hosts"))
    else:
        name, domain = spec.config.hostname, spec.config.domainname
        names = f"{name}.{domain} {name}" if domain else name
        own = [(address, names) for endpoint in endpoints for address in (endpoint.ip, endpoint.ipv6)]
        text = hosts([*spec.linked, *own], extra=_extra(spec.host.extra_hosts, gateways))
        if spec.without_ipv6:
            text = _ipv4_only(text)
    write_for_containers(spec.folder / "hosts", text)


def file_mounts(spec: SandboxSpec) -> tuple[BindMount, ...]:
    """Return the mounts of the three files, except where the sandbox has a mount of its own.

    Sandboxes that share a network share the files as well.
    """
    folder = spec.donors["network"].folder if "network" in spec.donors else spec.folder
    taken = {point.destination for point in spec.mounts}
    return tuple(
        BindMount(str(folder / name), f"/etc/{name}", read_only=spec.host.readonly_rootfs, own=True)
        for name in NAMES
        if f"/etc/{name}" not in taken
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _ipv4_only(text: str) -> str:
    """Return an /etc/hosts without IPv6 addresses, which a container without IPv6 cannot reach, nor its loopback."""
    return "".join(line for line in text.splitlines(keepends=True) if ":" not in line.split()[0])


def _extra(items: Iterable[str], gateways: Gateways) -> Iterator[tuple[str, str]]:
    """Yield the address and the name of each `name:ip`; `host-gateway` may stand for one address of each family."""
    for item in items:
        name, _, address = item.replace("=", ":", 1).partition(":")
        for chosen in gateways() if address == "host-gateway" else (address.strip("[]"),):
            yield chosen, name


def hosts(entries: Iterable[tuple[str, str]] = (), *, extra: Iterable[tuple[str, str]] = ()) -> str:
    """Return an /etc/hosts: the usual local names, then `extra`, then `entries`.

    Both are addresses, each with a name or several separated by spaces.
    """
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "ff00::0\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
    ]
    lines.extend(f"{ip}\t{names}" for ip, names in (*extra, *entries) if ip)
    return "\n".join(lines) + "\n"
