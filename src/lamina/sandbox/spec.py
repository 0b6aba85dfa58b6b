"""What a sandbox is made from, and the defaults for what a request leaves open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lamina.api.containers import Config, EndpointConfig, HostConfig, LogConfig, Ulimit
from lamina.errors import InvalidInput
from lamina.linux.user_namespaces import UserNamespace
from lamina.network.model import EndpointOptions, PortBinding

DEFAULT_SHM = 64 << 20  # bytes
DEFAULT_CGROUP = "/lamina"
IFNAME = "com.docker.network.endpoint.ifname"
_SYSCTLS = "com.docker.network.endpoint.sysctls"


class MountPoint(msgspec.Struct, frozen=True, rename="pascal"):
    """A mount, worked out. `source` is a host path; a volume is looked up by `name`.

    An `image` (its ID) is mounted from a snapshot at `source`; `name` is what the request called it.

    `implied_slave` marks a propagation that no request asked for; sources that cannot propagate are mounted without it.
    A read-only bind covers what is mounted below it where the kernel can; `read_only_non_recursive` leaves that out,
    `read_only_force_recursive` insists on it. `idmapped` shows the owners of a bind as the sandbox's users.
    """

    type: str
    destination: str
    source: str = ""
    name: str = ""
    image: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = msgspec.field(name="RW", default=True)
    propagation: str = ""
    implied_slave: bool = False
    recursive: bool = True
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False
    copy: bool = False
    create_source: bool = False
    options: tuple[str, ...] = ()
    subpath: str = ""
    anonymous: bool = False
    idmapped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What applies where a request says nothing. Sizes in bytes.

    `cgroupns_mode` "" is private on cgroup v2, and the host's on v1.

    `runtimes` are further names of the engine's OCI runtime. `userns` has the users of sandboxes (`userns-remap`).
    """

    log: LogConfig = field(default_factory=lambda: LogConfig(type="json-file"))
    shm_size: int = DEFAULT_SHM
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = DEFAULT_CGROUP
    init: bool = False
    init_path: str = ""
    ipc_mode: str = "private"
    cgroupns_mode: str = ""
    cdi_folders: tuple[str, ...] = ("/etc/cdi", "/var/run/cdi")
    runtimes: tuple[str, ...] = ()
    host_resolv_conf: Path = Path("/etc/resolv.conf")
    userns: UserNamespace | None = None

    def userns_of(self, host: HostConfig) -> UserNamespace | None:
        """Return whose users a sandbox has; None for the host's."""
        return None if host.userns_mode == "host" else self.userns


@dataclass(frozen=True, slots=True)
class Donor:
    """A running sandbox whose namespace another one joins: its first process, and its folder on the host."""

    pid: int
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """A sandbox: what runs in it, as whom, within which limits, and what it sees.

    `folder` is the sandbox's own on the host, closed to other users. `name` leads to it in user networks, as its
    hostname, its short ID and its aliases do. `networks` are joined at the start. The one that leads outside has the
    published `ports`. `network_id` names a network namespace that outlives the sandbox; "" stands for one of its own.
    `donors` are by the kind of namespace that is joined: "network", "PID" or "IPC". `linked` are further lines of
    /etc/hosts: address and names. `link_variables` are environment variables that give way to all others of their name.
    `userns` has its users; None stands for the host's.
    """

    id: str
    folder: Path
    name: str = ""
    config: Config
    host: HostConfig
    mounts: tuple[MountPoint, ...] = ()
    networks: Mapping[str, EndpointConfig] = field(default_factory=dict)
    ports: tuple[PortBinding, ...] = ()
    network_id: str = ""
    donors: Mapping[str, Donor] = field(default_factory=dict)
    linked: tuple[tuple[str, str], ...] = ()
    link_variables: tuple[str, ...] = ()
    userns: UserNamespace | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """Return what is run: the entrypoint, then the command."""
        return (*(self.config.entrypoint or ()), *(self.config.cmd or ()))

    @property
    def has_networks(self) -> bool:
        """Return whether it is in networks at all, and not in the host's or another sandbox's namespace."""
        mode = self.host.network_mode
        return not (mode in ("host", "none") or mode.startswith("container:") or self.config.network_disabled)

    @property
    def without_ipv6(self) -> bool:
        """Return whether its sysctls switch IPv6 off, on the loopback too."""
        return any(
            name.replace("/", ".") == "net.ipv6.conf.all.disable_ipv6" and value.strip() == "1"
            for name, value in self.host.sysctls.items()
        )

    def endpoint(self, place: EndpointConfig, *, first: bool = False) -> EndpointOptions:
        """Return what the sandbox asks of its place in a network; the `first` may have the config's MAC address."""
        return EndpointOptions(
            ip=place.ipam.ipv4_address,
            ipv6=place.ipam.ipv6_address,
            link_local_ips=place.ipam.link_local_ips,
            mac=plain_mac(place.mac_address or (self.config.mac_address if first else "")),
            interface=place.driver_opts.get(IFNAME, ""),
            sysctls=interface_sysctls(place),
            without_ipv6=self.without_ipv6 or "net.ipv6.conf.IFNAME.disable_ipv6=1" in interface_sysctls(place),
            gw_priority=place.gw_priority,
            aliases=(*place.aliases, self.id[:12]),
            names=self._names(place),
            links=tuple((alias, name) for name, alias in map(parse_link, place.links)),
            ports=self.ports,
        )

    def _names(self, place: EndpointConfig) -> tuple[str, ...]:
        """Return what leads to the sandbox in a user network (moby buildEndpointDNSNames), its own name first."""
        names = (self.name, *place.aliases, self.id[:12], self.config.hostname)
        return tuple(dict.fromkeys(filter(None, names)))


def parse_link(link: str) -> tuple[str, str]:
    """Return the container's name and the alias in a `--link name:alias`; without an alias the name is both.

    `/name:/parent/alias`, as `inspect` shows links, means the same. Raise InvalidInput for what is no link.
    """
    name, separator, alias = link.partition(":")
    if not name or ":" in alias:
        raise InvalidInput(f"bad format for links: {link}" if link else "empty string specified for links", link=link)
    if name.startswith("/"):
        name, alias = name[1:], alias.rpartition("/")[2]
    return name, alias if separator else name


def interface_sysctls(place: EndpointConfig) -> tuple[str, ...]:
    """Return the settings of the interface that an endpoint's driver options ask for."""
    return tuple(sysctl for sysctl in place.driver_opts.get(_SYSCTLS, "").split(",") if sysctl)


def plain_mac(text: str) -> str:
    """Return a MAC address in the notation with colons, which may be written with dashes or dots as well."""
    digits = re.sub(r"[.:-]", "", text.lower())
    return ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))
