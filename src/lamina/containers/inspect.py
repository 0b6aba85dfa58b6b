"""What `inspect` and `ps` tell of a container, as values: what is recorded, and what the other rooms know of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from lamina.api.containers import Config, EndpointConfig, HostConfig, PortHost
from lamina.containers.container import Container
from lamina.containers.record import Record, State
from lamina.containers.rooms import Rooms
from lamina.errors import Corrupt, NotFound, Unsupported
from lamina.formats.descriptor import Descriptor
from lamina.formats.times import human_duration, parse_time, whole_seconds
from lamina.network.model import PREDEFINED, Endpoint
from lamina.runtime import security
from lamina.runtime.apparmor import DEFAULT
from lamina.sandbox.spec import MountPoint
from lamina.snapshots.driver import GraphDirectories


@dataclass(frozen=True, slots=True)
class ContainerNetwork:
    """A container's place in one network. `asked` is from its request; `endpoint` is None while it has not joined."""

    name: str
    network_id: str
    asked: EndpointConfig | None = None
    endpoint: Endpoint | None = None

    @property
    def ip_address(self) -> str:
        return self.endpoint.ip if self.endpoint else ""

    @property
    def gateway(self) -> str:
        return self.endpoint.gateway if self.endpoint else ""

    @property
    def ipv6_address(self) -> str:
        """Return its IPv6 address; "" while it has none."""
        return self.endpoint.ipv6 if self.endpoint else ""

    @property
    def ipv6_gateway(self) -> str:
        """Return the network's IPv6 gateway; "" where it has none, and while the container is not in it."""
        return self.endpoint.ipv6_gateway if self.endpoint else ""

    @property
    def mac_address(self) -> str:
        if self.endpoint:
            return self.endpoint.mac
        return self.asked.mac_address if self.asked else ""

    @property
    def aliases(self) -> tuple[str, ...]:
        if self.name in PREDEFINED:
            return ()
        asked = self.asked.aliases if self.asked else ()
        return tuple(dict.fromkeys((*asked, *(self.endpoint.aliases if self.endpoint else ()))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspected:
    record: Record
    networks: Mapping[str, ContainerNetwork] = field(default_factory=dict)
    ports: Mapping[str, tuple[PortHost, ...] | None] = field(default_factory=dict)
    size_rw: int | None = None
    size_root_fs: int | None = None
    manifest: Descriptor | None = None  # of its image

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def image_id(self) -> str:
        return self.record.image

    @property
    def running(self) -> bool:
        return self.record.state.status in ("running", "paused")

    @property
    def labels(self) -> Mapping[str, str]:
        return self.record.config.labels

    @property
    def mounts(self) -> tuple[MountPoint, ...]:
        return tuple(point for point in self.record.mounts if point.type != "tmpfs")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSummary(_Inspected):
    """A container as `list` shows it; see `lamina.types.ContainerSummary`."""

    image: str
    status: str
    link_names: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        return command_text(self.record.command)

    @property
    def created(self) -> str:
        return whole_seconds(self.record.created)

    @property
    def state(self) -> str:
        return self.record.state.status


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDetails(_Inspected):
    """A container as `get` shows it; see `lamina.types.ContainerDetails`.

    `directory` holds its own files; `log_path` is None when it keeps no log. `sandbox_key` is the path of its network
    namespace, "" while it has none of its own.
    """

    directory: Path
    log_path: Path | None
    exec_ids: tuple[str, ...]
    apparmor_profile: str
    snapshot: GraphDirectories
    sandbox_key: str = ""
    links: tuple[str, ...] = ()

    @property
    def created(self) -> str:
        return self.record.created

    @property
    def image(self) -> str:
        return self.record.config.image

    @property
    def command(self) -> tuple[str, ...]:
        return self.record.command

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def exit_code(self) -> int | None:
        return self.state.exit_code if self.state.status == "exited" else None

    @property
    def restart_count(self) -> int:
        return self.record.restart_count

    @property
    def tty(self) -> bool:
        """Return whether it has a terminal, so that its output is one raw stream."""
        return self.record.config.tty

    @property
    def config(self) -> Config:
        return self.record.config

    @property
    def host_config(self) -> HostConfig:
        return self.record.host_config


def details(
    container: Container, rooms: Rooms, exec_ids: Sequence[str], links: tuple[str, ...], *, size: bool = False
) -> ContainerDetails:
    """Return what is known of a container; with `size` also the bytes of its files, which takes a while."""
    record = container.record
    own = changed_bytes(container, rooms) if size else None
    endpoints = endpoints_of(record, rooms)
    return ContainerDetails(
        record=record,
        directory=container.directory,
        log_path=container.log_path if record.host_config.log_config.type == "json-file" else None,
        exec_ids=tuple(exec_ids),
        links=links,
        apparmor_profile=_apparmor(record, rooms),
        snapshot=rooms.snapshots.get(container.id).directories,
        sandbox_key=f"{rooms.runtime.exec_root.parent}/netns/{record.id}" if endpoints else "",
        networks=_networks(record, endpoints, rooms),
        ports=shown_ports(record, endpoints),
        size_rw=own,
        size_root_fs=None if own is None else own + image_bytes(record.image, rooms),
        manifest=_manifest(record, rooms),
    )


def summary(container: Container, rooms: Rooms, link_names: tuple[str, ...] = ()) -> ContainerSummary:
    """Return what a list shows of a container, without the bytes of its files."""
    record = container.record
    endpoints = endpoints_of(record, rooms)
    return ContainerSummary(
        record=record,
        link_names=link_names,
        image=_image_name(record, rooms),
        status=status_text(record.state),
        networks=_networks(record, endpoints, rooms),
        ports=shown_ports(record, endpoints),
        manifest=_manifest(record, rooms),
    )


def changed_bytes(container: Container, rooms: Rooms) -> int:
    """Return the bytes of the files that the container changed; 0 where it is gone."""
    try:
        return rooms.snapshots.get(container.id).usage()
    except NotFound:
        return 0


def image_bytes(image_id: str, rooms: Rooms) -> int:
    """Return the bytes of the files of an image; 0 where it is gone."""
    try:
        return rooms.images.get(image_id).size
    except NotFound:
        return 0


def command_text(words: Sequence[str]) -> str:
    """Return a command as `ps` shows it: words with spaces quoted."""
    return " ".join(f"'{word}'" if " " in word or not word else word for word in words)


def status_text(state: State) -> str:
    """Return the sentence in the STATUS column (moby daemon/container/state.go)."""
    if state.status == "created":
        return "Created"
    if state.status in ("removing", "dead"):
        return "Removal In Progress" if state.status == "removing" else "Dead"
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {_age(state.finished_at)} ago"
    if state.status == "exited":
        return f"Exited ({state.exit_code}) {_age(state.finished_at)} ago"
    up = f"Up {_age(state.started_at)}"
    if state.status == "paused":
        return f"{up} (Paused)"
    if state.health is not None:
        word = "health: starting" if state.health.status == "starting" else state.health.status
        return f"{up} ({word})"
    return up


def _age(moment: str) -> str:
    """Return how long ago a time was, in words (docker/go-units duration.go)."""
    return human_duration(time.time() - _seconds(moment))


@lru_cache(4096)
def _seconds(moment: str) -> float:
    """Return the seconds since the epoch of a time in a record, which lists ask for again and again."""
    return parse_time(moment) / 1e9


def _manifest(record: Record, rooms: Rooms) -> Descriptor | None:
    """Return the descriptor of the manifest of the container's image; None where that is gone or damaged."""
    try:
        return rooms.images.catalog.descriptor(rooms.images.get(record.image))
    except (NotFound, Corrupt):
        return None


def _image_name(record: Record, rooms: Rooms) -> str:
    try:
        image = rooms.images.get(record.config.image)
    except NotFound:
        return record.image
    return record.config.image if str(image.id) == record.image else record.image


def _apparmor(record: Record, rooms: Rooms) -> str:
    """Return the profile that the container starts with, "" on a host without AppArmor."""
    host, apparmor = record.host_config, rooms.runtime.apparmor
    if not apparmor.enabled:
        return ""
    default = DEFAULT if apparmor.in_force else ""
    return security.parse(host.security_opt).profile(privileged=host.privileged) or default


def endpoints_of(record: Record, rooms: Rooms) -> dict[str, Endpoint]:
    """Return the endpoints of a running container by the network's name."""
    if record.host_config.network_mode in ("host", "none") or not record.state.running:
        return {}
    return {endpoint.network: endpoint for endpoint in rooms.networks.joined(record.id)}


def _networks(record: Record, endpoints: Mapping[str, Endpoint], rooms: Rooms) -> dict[str, ContainerNetwork]:
    """Return the container's places in the networks of its record, and in others that it has joined."""
    networks = {}
    for name in {**record.networks, **endpoints}:
        endpoint = endpoints.get(name)
        network_id = endpoint.network_id if endpoint else _network_id(name, rooms)
        networks[name] = ContainerNetwork(name, network_id, record.networks.get(name), endpoint)
    return networks


def _network_id(name: str, rooms: Rooms) -> str:
    try:
        return rooms.networks.get(name).id
    except (NotFound, Unsupported):  # an engine without privilege has no networks
        return ""


def shown_ports(record: Record, endpoints: Mapping[str, Endpoint]) -> dict[str, tuple[PortHost, ...] | None]:
    """Return the exposed ports, each with where it is published; nothing while the container does not run."""
    if not record.state.running:
        return {}
    ports: dict[str, tuple[PortHost, ...] | None] = {
        port if "/" in port else f"{port}/tcp": None for port in record.config.exposed_ports
    }
    for endpoint in endpoints.values():
        for binding in endpoint.ports:
            key = f"{binding.container_port}/{binding.proto}"
            addresses = [binding.host_ip] if binding.host_ip else ["0.0.0.0", "::"]
            hosts = tuple(PortHost(address, str(binding.host_port or "")) for address in addresses)
            ports[key] = (*(ports.get(key) or ()), *hosts)
    return ports
