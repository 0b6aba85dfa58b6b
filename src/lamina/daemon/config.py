"""The daemon's settings: flags and `daemon.json`, dockerd's keys, put together into one value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lamina.api.build import DEVICE, HOST_NETWORK, INSECURE
from lamina.api.build_cache import CacheLimits
from lamina.errors import InvalidInput
from lamina.formats import go_json
from lamina.formats.sizes import parse_size

CONFIG_FILE = Path("/etc/lamina/daemon.json")
DEFAULT_HOST = "unix:///run/lamina/lamina.sock"
ROOTS = ("/var/lib/lamina", "/run/lamina")  # of data, and of what does not outlive a reboot
# Docker's switches. True and absent mean what lamina does; of these one may be false, since the store is the same.
_FEATURES = {"buildkit": (True,), "cdi": (True,), "containerd-snapshotter": (True, False)}
_CGROUPNS_MODES = ("", "host", "private")
_IPC_MODES = ("private", "shareable")  # what default-ipc-mode may be


class Ulimit(msgspec.Struct, frozen=True):
    """A limit for every container; -1 means none."""

    name: str = msgspec.field(name="Name", default="")
    soft: int = msgspec.field(name="Soft", default=0)
    hard: int = msgspec.field(name="Hard", default=0)


class AddressPool(msgspec.Struct, frozen=True):
    """A range for the subnets of new networks: `base` in CIDR form, cut into subnets of `size` bits."""

    base: str
    size: int


class RuntimeEntry(msgspec.Struct, frozen=True):
    """An OCI runtime by name."""

    path: str = ""
    runtime_args: tuple[str, ...] = msgspec.field(name="runtimeArgs", default=())


class BuilderGc(msgspec.Struct, frozen=True, rename="camel"):
    """How much the build cache may hold. Sizes are texts such as "20GB"; without any nothing is collected."""

    enabled: bool = True
    default_keep_storage: str = ""  # Docker's older name of `default_max_used_space`
    default_reserved_space: str = ""
    default_max_used_space: str = ""
    default_min_free_space: str = ""

    @property
    def limits(self) -> CacheLimits | None:
        """Return the limits in bytes, None without any. Raise InvalidInput for what is no size."""
        texts = {
            "reserved": self.default_reserved_space,
            "max_used": self.default_max_used_space or self.default_keep_storage,
            "min_free": self.default_min_free_space,
        }
        sizes = {name: parse_size(text, "size in builder.gc") for name, text in texts.items() if text}
        return CacheLimits(**sizes) if self.enabled and sizes else None


class Entitlements(msgspec.Struct, frozen=True, rename="kebab"):
    """What the builds of BuildKit's clients may ask for."""

    network_host: bool = True
    security_insecure: bool = False
    device: bool = True

    @property
    def names(self) -> frozenset[str]:
        """Return what is allowed by the names of BuildKit's protocol."""
        choices = {HOST_NETWORK: self.network_host, INSECURE: self.security_insecure, DEVICE: self.device}
        return frozenset(name for name, is_allowed in choices.items() if is_allowed)


class Builder(msgspec.Struct, frozen=True):
    """Settings of builds."""

    gc: BuilderGc = BuilderGc()
    entitlements: Entitlements = Entitlements()


class Options(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """All settings. The members' names are daemon.json's keys, with dashes; an empty text means the default.

    If `tls` is None, the daemon refuses to listen on TCP without `tlsverify`: every client of plain TCP is root.
    `allowed_hosts` are names by which clients may call a plain TCP listener, beside addresses and `localhost`, and
    `allowed_origins` are web pages that may use the API, such as "https://ui.example".

    `features` are Docker's switches of what lamina always has: buildkit, cdi and containerd-snapshotter.

    `dashboard` is the address of the web dashboard, such as "127.0.0.1:8080"; without one there is none.

    `live_restore` is on by default, so that containers outlive a restart of the daemon.
    """

    hosts: tuple[str, ...] = ()
    data_root: str = ROOTS[0]
    exec_root: str = ROOTS[1]
    pidfile: str = ""
    group: str = "docker"
    bip: str = ""
    bip6: str = ""
    bridge: str = ""
    ip: str = ""
    ipv6: bool = False
    ip6tables: bool = True
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    default_gateway_v6: str = ""
    userland_proxy: bool = True
    allow_direct_routing: bool = False
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    host_gateway_ip: str = ""
    host_gateway_ips: tuple[str, ...] = ()
    default_address_pools: tuple[AddressPool, ...] = ()
    default_network_opts: dict[str, dict[str, str]] = {}
    storage_driver: str = ""
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    live_restore: bool = True
    init: bool = False
    init_path: str = ""
    default_shm_size: str = ""
    default_ipc_mode: str = "private"
    default_cgroupns_mode: str = ""
    cdi_spec_dirs: tuple[str, ...] = ("/etc/cdi", "/var/run/cdi")
    cgroup_parent: str = ""
    log_driver: str = "json-file"
    log_opts: dict[str, str] = {}
    log_level: str = "info"
    debug: bool = False
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    default_ulimits: dict[str, Ulimit] = {}
    default_runtime: str = ""
    runtimes: dict[str, RuntimeEntry] = {}
    builder: Builder = Builder()
    features: dict[str, bool] = {}
    userns_remap: str = ""
    labels: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    shutdown_timeout: int = 15
    tls: bool | None = None
    tlsverify: bool = False
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    dashboard: str = ""
    dashboard_read_only: bool = False


def load(flags: Mapping[str, Any], config_file: Path | None = None) -> Options:
    """Return the settings of the command line's flags, under daemon.json's keys, and of the file.

    If `config_file` is None, the usual file is read, which may be missing. Raise InvalidInput for an unreadable file,
    for an unknown key or a wrong value, and for a setting that both flags and file give.
    """
    from_file = _read(config_file)
    twice = sorted(set(flags) & set(from_file) - {"hosts"})
    if twice:
        named = ", ".join(f"{key}: (from flag: {flags[key]}, from file: {from_file[key]})" for key in twice)
        message = "the following directives are specified both as a flag and in the configuration file"
        raise InvalidInput(f"{message}: {named}")
    merged = {**_own_roots(), **from_file, **flags}
    keys = {field.encode_name for field in msgspec.structs.fields(Options)}
    unknown = sorted(set(merged) - keys)
    if unknown:
        raise InvalidInput(f"the following directives don't match any configuration option: {', '.join(unknown)}")
    try:
        options = msgspec.convert(go_json.shaped(merged, Options), Options)  # as dockerd reads names below the keys
    except msgspec.ValidationError as error:
        raise InvalidInput(f"invalid daemon configuration: {error}") from error
    if options.default_ipc_mode not in _IPC_MODES:
        raise InvalidInput(
            f'IPC mode "{options.default_ipc_mode}" is not supported as default value',
            advice='Use "shareable" or "private"',
        )
    if options.default_cgroupns_mode not in _CGROUPNS_MODES:
        raise InvalidInput(
            f'default cgroup namespace mode "{options.default_cgroupns_mode}" is invalid',
            advice='Use "host" or "private"',
        )
    for name, value in options.features.items():
        if value not in _FEATURES.get(name, ()):
            raise InvalidInput(
                f"the feature {name} cannot be {str(value).lower()}", advice=f"Known are {', '.join(_FEATURES)}"
            )
    _ = options.builder.gc.limits  # to be refused now, not at the first build
    if not options.ip6tables:
        raise InvalidInput("ip6tables cannot be switched off", advice="Leave it out: IPv6 networks need their rules")
    return options


def _own_roots() -> dict[str, str]:
    """Return the directories for a user who is not root (XDG Base Directory Specification)."""
    if os.geteuid() == 0:
        return {}
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return {"data-root": f"{data}/lamina", "exec-root": str(Path(_user_socket()).parent)}


def _read(config_file: Path | None) -> dict[str, Any]:
    path = config_file or CONFIG_FILE
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        if config_file is None:
            return {}
        raise InvalidInput(f"the configuration file {path} does not exist") from None
    except OSError as error:
        raise InvalidInput(f"the configuration file {path} cannot be read: {error.strerror}") from error
    try:
        return msgspec.json.decode(raw.strip() or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the configuration file {path} is no JSON object: {error}") from error


def listen_on(options: Options) -> tuple[str, ...]:
    """Return the addresses to serve: the configured ones, else the usual socket."""
    return options.hosts or (DEFAULT_HOST if os.geteuid() == 0 else f"unix://{_user_socket()}",)


def _user_socket() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    return f"{runtime}/lamina/lamina.sock"
