"""What the Engine API says about a container to be made: Config, HostConfig and NetworkingConfig, by Docker's names.

`decode` reads requests, in which clients send null for whatever they leave out; `encode` writes them.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from lamina.formats import go_json
from lamina.formats.lists import check_lists
from lamina.formats.runconfig import Int64, RunConfig

T = TypeVar("T", bound=msgspec.Struct)
_TEXT_OR_LIST = frozenset({"cmd", "entrypoint", "shell", "capadd", "capdrop"})


def decode(document: Any, type: type[T]) -> T:
    """Return a request's JSON value as one of this file's types. Raise InvalidInput, naming the field."""
    return go_json.convert(_listed(document, type), type)


def encode(value: msgspec.Struct) -> dict[str, Any]:
    """Return the JSON object of a request: what says something else than its default, by Docker's names."""
    members = {}
    for field in msgspec.structs.fields(value):
        member = getattr(value, field.name)
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        if member != default:
            members[field.encode_name] = _plain(member)
    return members


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return encode(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def _listed(document: Any, type: type[T]) -> Any:
    """Return the document with a single text made a list where Docker takes both (its type StrSlice)."""
    if not isinstance(document, dict) or not issubclass(type, RunConfig | Resources):
        return document
    return {
        key: [value] if key.lower() in _TEXT_OR_LIST and isinstance(value, str) else value
        for key, value in document.items()
    }


class Config(RunConfig, frozen=True, rename="pascal"):
    """The portable part: an image's config, and how the streams are used."""

    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False


class LogConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """`type` is json-file, local, none, syslog or journald, with the options that Docker has for it."""

    type: str = ""
    config: dict[str, str] = {}


class RestartPolicy(msgspec.Struct, frozen=True, rename="pascal"):
    """`name` is "", no, always, on-failure or unless-stopped."""

    name: str = ""
    maximum_retry_count: Int64 = 0


class PortHost(msgspec.Struct, frozen=True, rename="pascal"):
    """Where a port is published: an address ("" for all) and a port or range as text ("" for any)."""

    host_ip: str = msgspec.field(name="HostIp", default="")
    host_port: str = ""


class DeviceMapping(msgspec.Struct, frozen=True, rename="pascal"):
    """A device of the host and its place in the container; permissions of r, w and m (mknod)."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = "rwm"


class Ulimit(msgspec.Struct, frozen=True, rename="pascal"):
    """A limit of setrlimit(2) by its name without RLIMIT_, such as "nofile"; -1 is none."""

    name: str = ""
    hard: Int64 = 0
    soft: Int64 = 0


class WeightDevice(msgspec.Struct, frozen=True, rename="pascal"):
    """The share of a block device's time, 10 to 1000."""

    path: str = ""
    weight: Int64 = 0


class RateDevice(msgspec.Struct, frozen=True, rename="pascal"):
    """The limit of a block device, in bytes or operations a second."""

    path: str = ""
    rate: Int64 = 0


class BindOptions(msgspec.Struct, frozen=True, rename="pascal"):
    """What only a bind has: propagation as mount(8) names it, and how mounts below are treated."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class DriverConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """The driver of a volume that comes to be with the container."""

    name: str = ""
    options: dict[str, str] = {}


class VolumeOptions(msgspec.Struct, frozen=True, rename="pascal"):
    """What only a volume has; `no_copy` leaves out what the image has at its place."""

    no_copy: bool = False
    labels: dict[str, str] = {}
    driver_config: DriverConfig | None = None
    subpath: str = ""


class TmpfsOptions(msgspec.Struct, frozen=True, rename="pascal"):
    """What only a tmpfs has: bytes (0 for no limit), and mode bits."""

    size_bytes: Int64 = 0
    mode: Int64 = 0
    options: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        check_lists(self)


class ImageOptions(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of an image's files that is mounted; "" for all of them."""

    subpath: str = ""


class MountSpec(msgspec.Struct, frozen=True, rename="pascal"):
    """One `--mount`: `type` is bind, volume, tmpfs or image."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
    image_options: ImageOptions | None = None


class DeviceRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """Devices that a driver picks, as `--gpus` asks for them."""

    driver: str = ""
    count: Int64 = 0
    device_ids: tuple[str, ...] = msgspec.field(name="DeviceIDs", default=())
    capabilities: tuple[tuple[str, ...], ...] = ()
    options: dict[str, str] = {}

    def __post_init__(self) -> None:
        check_lists(self)


class Resources(msgspec.Struct, frozen=True, rename="pascal"):
    """Limits; 0 means not set. Memory in bytes, `nano_cpus` in billionths of a CPU."""

    cpu_shares: Int64 = 0
    memory: Int64 = 0
    nano_cpus: Int64 = 0
    cgroup_parent: str = ""
    blkio_weight: Int64 = 0
    blkio_weight_device: tuple[WeightDevice, ...] = ()
    blkio_device_read_bps: tuple[RateDevice, ...] = ()
    blkio_device_write_bps: tuple[RateDevice, ...] = ()
    blkio_device_read_iops: tuple[RateDevice, ...] = msgspec.field(name="BlkioDeviceReadIOps", default=())
    blkio_device_write_iops: tuple[RateDevice, ...] = msgspec.field(name="BlkioDeviceWriteIOps", default=())
    cpu_period: Int64 = 0
    cpu_quota: Int64 = 0
    cpu_realtime_period: Int64 = 0
    cpu_realtime_runtime: Int64 = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[DeviceMapping, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    device_requests: tuple[DeviceRequest, ...] = ()
    memory_reservation: Int64 = 0
    memory_swap: Int64 = 0
    memory_swappiness: Int64 | None = None
    oom_kill_disable: bool | None = None
    pids_limit: Int64 | None = None
    ulimits: tuple[Ulimit, ...] = ()

    def __post_init__(self) -> None:
        check_lists(self)


class HostConfig(Resources, frozen=True, rename="pascal"):
    """The part that depends on the host: mounts, networks, limits, privileges."""

    binds: tuple[str, ...] = ()
    container_id_file: str = msgspec.field(name="ContainerIDFile", default="")
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: dict[str, tuple[PortHost, ...]] = {}
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: tuple[str, ...] = ()
    console_size: tuple[Int64, Int64] = (0, 0)
    annotations: dict[str, str] = {}
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    cgroupns_mode: str = ""
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    ipc_mode: str = ""
    cgroup: str = ""
    links: tuple[str, ...] = ()
    oom_score_adj: Int64 = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: tuple[str, ...] = ()
    storage_opt: dict[str, str] = {}
    tmpfs: dict[str, str] = {}
    uts_mode: str = msgspec.field(name="UTSMode", default="")
    userns_mode: str = ""
    shm_size: Int64 = 0
    sysctls: dict[str, str] = {}
    runtime: str = ""
    isolation: str = ""
    mounts: tuple[MountSpec, ...] = ()
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    init: bool | None = None


class UpdateConfig(Resources, frozen=True, rename="pascal"):
    """What `update` may change: limits, and the restart policy where it is named."""

    restart_policy: RestartPolicy = RestartPolicy()


class EndpointIpam(msgspec.Struct, frozen=True, rename="pascal"):
    """Addresses that were asked for, "" for any."""

    ipv4_address: str = msgspec.field(name="IPv4Address", default="")
    ipv6_address: str = msgspec.field(name="IPv6Address", default="")
    link_local_ips: tuple[str, ...] = msgspec.field(name="LinkLocalIPs", default=())

    def __post_init__(self) -> None:
        check_lists(self)


class EndpointConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """What a container asks of its place in one network."""

    ipam: EndpointIpam = msgspec.field(name="IPAMConfig", default=EndpointIpam())
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    mac_address: str = ""
    driver_opts: dict[str, str] = {}
    gw_priority: Int64 = 0

    def __post_init__(self) -> None:
        check_lists(self)


class NetworkingConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """The networks a container begins in, by name or ID."""

    endpoints_config: dict[str, EndpointConfig] = {}


class ExecConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """What `exec` is asked to run."""

    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    console_size: tuple[Int64, Int64] | None = None

    def __post_init__(self) -> None:
        check_lists(self)
