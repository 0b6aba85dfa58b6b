"""What a container is to be, as values: from these `bundle` makes the OCI runtime's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lamina.linux.user_namespaces import UserNamespace


@dataclass(frozen=True, slots=True)
class User:
    """Numeric identity of a process inside the container."""

    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rlimit:
    """`name` as setrlimit(2) has it, such as "RLIMIT_NOFILE"; -1 means no limit."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process: the container's first, or one exec'd into it.

    `capabilities` None means Docker's defaults; `privileged` gives all of them. `apparmor` is a profile's name, ""
    for the default where the host has AppArmor. `console_size` is (height, width) in characters.
    """

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: User = User()
    terminal: bool = False
    console_size: tuple[int, int] | None = None
    capabilities: tuple[str, ...] | None = None
    no_new_privileges: bool = False
    rlimits: tuple[Rlimit, ...] = ()
    oom_score_adj: int | None = None
    privileged: bool = False
    apparmor: str = ""


@dataclass(frozen=True, slots=True)
class BindMount:
    """A host path seen inside. `propagation` is one of mount(8)'s words: rprivate, rslave, rshared, private, …

    `read_only_below` makes what is mounted below read-only as well. `idmapped` shows the owners as the container's user
    namespace maps them. `own` is a file that lamina made in a folder of its own: no file system that may hang.
    """

    source: str
    destination: str
    read_only: bool = False
    propagation: str = "rprivate"
    recursive: bool = True
    options: tuple[str, ...] = ()
    read_only_below: bool = False
    idmapped: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class TmpfsMount:
    """A tmpfs inside; `options` are mount options on top of nosuid, nodev, noexec."""

    destination: str
    options: tuple[str, ...] = ()

    @property
    def all_options(self) -> tuple[str, ...]:
        """Return the options with those that are not undone by them."""
        options = dict.fromkeys(("noexec", "nosuid", "nodev", *self.options))
        for word in ("exec", "suid", "dev"):
            if word in options:
                options.pop(f"no{word}", None)
        return tuple(options)


AnyMount = BindMount | TmpfsMount


@dataclass(frozen=True, slots=True)
class Device:
    """A device node inside, with the access that the device cgroup allows ("rwm" letters). `mode` in octal."""

    path: str
    type: Literal["c", "b", "p"]
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """A rule of the device cgroup; None for `major` or `minor` means any."""

    type: str
    major: int | None
    minor: int | None
    access: str
    allow: bool = True


@dataclass(frozen=True, slots=True)
class Namespaces:
    """For each kind: "private" (a new one), "host", or the path of one to join.

    `cgroup` None means Docker's default: private on cgroup v2, host on v1.
    """

    network: str = "private"
    pid: str = "private"
    ipc: str = "private"
    uts: str = "private"
    cgroup: str | None = None


@dataclass(frozen=True, slots=True)
class ThrottleDevice:
    """A limit for one block device: bytes or operations per second, or a weight."""

    major: int
    minor: int
    rate: int


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits; None means not set. Memory in bytes (-1 for no limit; `memory_swap` is memory plus swap), CPU period
    and quota in microseconds."""

    memory: int | None = None
    memory_swap: int | None = None
    memory_reservation: int | None = None
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    cpu_shares: int | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpu_realtime_period: int | None = None
    cpu_realtime_runtime: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    pids_limit: int | None = None
    blkio_weight: int | None = None
    blkio_weight_devices: tuple[ThrottleDevice, ...] = ()
    read_bps: tuple[ThrottleDevice, ...] = ()
    write_bps: tuple[ThrottleDevice, ...] = ()
    read_iops: tuple[ThrottleDevice, ...] = ()
    write_iops: tuple[ThrottleDevice, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A whole container. None for masked or read-only paths means Docker's lists.

    `hooks` are config.json's, each with its kind, such as "createContainer". `userns` None means the host's users.

    `seccomp` is "default" (Docker's profile, which privilege drops), "builtin" (the same, kept by the privileged),
    "unconfined", or a profile in Docker's JSON shape. `writable_cgroups` None follows `privileged`. `cgroup_parent` is
    a path below each hierarchy's root. `shm_size` is in bytes, 0 for no /dev/shm. `default_sysctls` sets Docker's in a
    network namespace that is not the host's.
    """

    process: ProcessSpec
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[AnyMount, ...] = ()
    devices: tuple[Device, ...] = ()
    device_rules: tuple[DeviceRule, ...] = ()
    namespaces: Namespaces = Namespaces()
    userns: UserNamespace | None = None
    resources: Resources = Resources()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    default_sysctls: bool = True
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    read_only_root: bool = False
    privileged: bool = False
    seccomp: str | Mapping[str, Any] = "default"
    writable_cgroups: bool | None = None
    cgroup_parent: str = "/lamina"
    shm_size: int = 64 << 20
    annotations: Mapping[str, str] = field(default_factory=dict)
    hooks: tuple[tuple[str, Mapping[str, Any]], ...] = ()
