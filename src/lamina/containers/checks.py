"""What a request may not ask, and what this machine cannot give: dockerd's rules, in its words."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import msgspec

from lamina.api.containers import Config, HostConfig, LogConfig, NetworkingConfig
from lamina.containers import ports
from lamina.containers.launch import log_spec
from lamina.containers.stop import parse_signal
from lamina.containers.sysctls import check_sysctls
from lamina.errors import InvalidInput
from lamina.formats.runconfig import Healthcheck
from lamina.runtime import capabilities, security
from lamina.runtime.cgroups.abilities import Abilities

MINIMUM_MEMORY = 6 << 20  # bytes, as dockerd
LONGEST_HOSTNAME = 64  # bytes, HOST_NAME_MAX
_SHORTEST_CHECK = 1_000_000  # nanoseconds between health checks
_RESTART = ("", "no", "always", "on-failure", "unless-stopped")
_LOGS = {  # the drivers with their options, those that have no effect here included
    "json-file": frozenset(
        ("max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode")
    )
    | {"max-buffer-size"},
    "none": frozenset({"mode", "max-buffer-size"}),
}
_NO_LINKS = "can't be used with links. This would result in undefined behavior"
_DEFAULT = ("bridge", "default")  # names of the default network in requests
_NO_CGROUP = "or the cgroup is not mounted."
_MODES = {
    "IPC": ("", "none", "private", "shareable", "host"),
    "PID": ("", "private", "host"),
    "UTS": ("", "private", "host"),
    "cgroup namespace": ("", "private", "host"),
    "userns": ("", "private", "host"),
}


def check_request(host: HostConfig, config: Config, networking: NetworkingConfig) -> None:
    """Raises InvalidInput for options that contradict each other. `config` is the request, without what the image
    adds: an image may expose ports in a container that has no network of its own."""
    if host.uts_mode == "host" and config.hostname:
        raise InvalidInput("conflicting options: hostname and the UTS mode")
    fixed = {name for name, place in networking.endpoints_config.items() if place.ipam.ipv4_address}
    if host.network_mode in ("", *_DEFAULT) and fixed.intersection(_DEFAULT):
        raise InvalidInput("user specified IP address is supported on user defined networks only")
    if host.network_mode == "host" and host.links:
        raise InvalidInput(f"conflicting options: host type networking {_NO_LINKS}")
    if not host.network_mode.startswith("container:"):
        return
    if host.network_mode == "container:":
        raise InvalidInput("invalid network mode: invalid container format container:<name|id>")
    for given, what in (
        (config.hostname, "hostname and the network mode"),
        (config.mac_address, "mac-address and the network mode"),
        (host.links, f"container type network {_NO_LINKS}"),
        (host.dns, "dns and the network mode"),
        (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (host.port_bindings or host.publish_all_ports, "port publishing and the container type network mode"),
        (config.exposed_ports, "port exposing and the container type network mode"),
    ):
        if given:
            raise InvalidInput(f"conflicting options: {what}")


def check(host: HostConfig, config: Config) -> None:
    """Raises InvalidInput for limits and modes that cannot be."""
    _check_memory(host)
    _check_cpu(host)
    _check_modes(host)
    if host.restart_policy.name not in _RESTART:
        raise InvalidInput(f"invalid restart policy: unknown policy '{host.restart_policy.name}'")
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise InvalidInput("can't create 'AutoRemove' container with restart policy")
    if host.restart_policy.maximum_retry_count and host.restart_policy.name != "on-failure":
        raise InvalidInput("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if host.restart_policy.maximum_retry_count < 0:
        raise InvalidInput("invalid restart policy: maximum retry count cannot be negative")
    _check_log(host.log_config)
    _check_drivers(host)
    if len(os.fsencode(config.hostname)) > LONGEST_HOSTNAME:
        raise InvalidInput(f'hostname "{config.hostname}" is too long (maximum {LONGEST_HOSTNAME} bytes)')
    _check_addresses(host)
    if any(not entry.partition("=")[0] for entry in config.env):
        raise InvalidInput("invalid environment variable: it has no name", env=config.env)
    parse_signal(config.stop_signal)
    _check_health(config.healthcheck)
    ports.wanted(config, host)
    check_sysctls(host)
    if "" in host.annotations:
        raise InvalidInput("invalid Annotations: the empty string is not permitted as an annotation key")
    security.check_labels(security.parse(host.security_opt))
    capabilities.tweak(host.cap_add, host.cap_drop)


def _check_memory(host: HostConfig) -> None:
    if host.memory and host.memory < MINIMUM_MEMORY:
        raise InvalidInput("Minimum memory limit allowed is 6MB", memory=host.memory)
    if host.memory > 0 and 0 < host.memory_swap < host.memory:
        raise InvalidInput("Minimum memoryswap limit should be larger than memory limit, see usage")
    if host.memory <= 0 and host.memory_swap > 0:
        raise InvalidInput("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < host.memory_reservation < MINIMUM_MEMORY:
        raise InvalidInput("Minimum memory reservation allowed is 6MB", memory=host.memory_reservation)
    if 0 < host.memory < host.memory_reservation:
        raise InvalidInput("Minimum memory limit can not be less than memory reservation limit, see usage")
    swappiness = host.memory_swappiness
    if swappiness is not None and swappiness != -1 and not 0 <= swappiness <= 100:
        raise InvalidInput(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if host.shm_size < 0:
        raise InvalidInput("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidInput(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")


def _check_cpu(host: HostConfig) -> None:
    if host.nano_cpus and (host.cpu_quota or host.cpu_period):
        raise InvalidInput("Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set")
    cpus = os.cpu_count() or 1
    if not 0 <= host.nano_cpus <= cpus * 1_000_000_000:
        raise InvalidInput(f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")
    if host.cpu_shares < 0:
        raise InvalidInput(f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer")
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise InvalidInput("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < host.cpu_quota < 1000:
        raise InvalidInput("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise InvalidInput("Range of blkio weight is from 10 to 1000")
    for wanted, kind, where in (
        (host.cpuset_cpus, "CPUs", "/sys/devices/system/cpu/online"),
        (host.cpuset_mems, "memory nodes", "/sys/devices/system/node/online"),
    ):
        available = _numbers(_read(where) or "0")
        if not _numbers(wanted) <= available:
            shown = ",".join(map(str, sorted(available)))
            raise InvalidInput(f"Requested {kind} are not available - requested {wanted}, available: {shown}")


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _numbers(text: str) -> set[int]:
    """The members of a list such as "0-2,7" (cpuset(7), "List format"). Raises InvalidInput."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or not (last.isdecimal() if dash else True) or len(part) > 9:
            raise InvalidInput(f"Invalid value {text} for cpuset", value=text)
        found.update(range(int(first), int(last or first) + 1))
    return found


def _check_modes(host: HostConfig) -> None:
    for kind, mode in (
        ("IPC", host.ipc_mode),
        ("PID", host.pid_mode),
        ("UTS", host.uts_mode),
        ("cgroup namespace", host.cgroupns_mode),
        ("userns", host.userns_mode),
    ):
        joins = kind in ("IPC", "PID") and mode.startswith("container:") and mode != "container:"
        if mode not in _MODES[kind] and not joins:
            raise InvalidInput(f"invalid {kind} mode: {mode}", mode=mode)
    if host.isolation not in ("", "default"):
        raise InvalidInput(f"invalid isolation '{host.isolation}' on linux", isolation=host.isolation)


def _check_log(log: LogConfig) -> None:
    if log.type not in _LOGS:
        raise InvalidInput(f"logger: no log driver named '{log.type}' is registered", known=tuple(_LOGS))
    unknown = sorted(set(log.config) - _LOGS[log.type])
    if unknown:
        raise InvalidInput(f"unknown log opt '{unknown[0]}' for {log.type} log driver", option=unknown[0])
    log_spec(log, Path())


def _check_addresses(host: HostConfig) -> None:
    for server in host.dns:
        try:
            ipaddress.ip_address(server.partition("%")[0])
        except ValueError:
            raise InvalidInput(f"bad nameserver address: {server!r} is no IP address", address=server) from None
    for entry in host.extra_hosts:
        name, separator, address = entry.replace("=", ":", 1).partition(":")
        if not (name and separator and address):
            raise InvalidInput(f'bad format for add-host: "{entry}"', entry=entry)


def _check_drivers(host: HostConfig) -> None:
    """Nothing is taken and then not done: there are no drivers but lamina's own."""
    for request in host.device_requests:
        words = "[" + " ".join(f"[{' '.join(group)}]" for group in request.capabilities) + "]"  # as Go prints lists
        raise InvalidInput(f'could not select device driver "{request.driver}" with capabilities: {words}')
    named = [mount.volume_options.driver_config for mount in host.mounts if mount.volume_options]
    for driver in (host.volume_driver, *(given.name for given in named if given)):
        if driver not in ("", "local"):
            raise InvalidInput(f'error looking up volume plugin {driver}: plugin "{driver}" not found', driver=driver)
    if host.storage_opt:
        advice = "Put what may grow into a volume of its own"
        raise InvalidInput("--storage-opt is not supported: containers have no quota", advice=advice)


def _check_health(check: Healthcheck | None) -> None:
    if check is None:
        return
    times = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
    }
    for name, value in times.items():
        if value and value < _SHORTEST_CHECK:
            raise InvalidInput(f"{name} in Healthcheck cannot be less than 1ms", value=value)
    if check.retries < 0:
        raise InvalidInput("Retries in Healthcheck cannot be negative", value=check.retries)


def check_runtime(wanted: str, program: str, named: tuple[str, ...]) -> None:
    """Raises InvalidInput for a runtime that this engine does not run. `runc` and containerd's name of it mean the
    engine's own, which takes the same bundles."""
    if wanted not in ("", program, "runc", "io.containerd.runc.v2", *named):
        raise InvalidInput(f"unknown or invalid runtime name: {wanted}", runtime=wanted)


# What must hold, the limits that need it, and what is told without it.
_THROTTLES = ("blkio_device_read_bps", "blkio_device_write_bps", "blkio_device_read_iops", "blkio_device_write_iops")
_RULES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("memory", ("memory",), f"memory limit capabilities {_NO_CGROUP} Limitation discarded."),
    ("reservation", ("memory_reservation",), f"memory soft limit capabilities {_NO_CGROUP} Limitation discarded."),
    ("cpu_shares", ("cpu_shares",), f"CPU shares {_NO_CGROUP} Shares discarded."),
    ("cpu_quota", ("cpu_period", "cpu_quota", "nano_cpus"), "CPU CFS scheduler. CPU period/quota discarded."),
    ("cpuset", ("cpuset_cpus", "cpuset_mems"), f"cpuset {_NO_CGROUP} Cpuset discarded."),
    ("pids", ("pids_limit",), f"PIDs limit capabilities {_NO_CGROUP} PIDs limit discarded."),
    ("oom_kill_disable", ("oom_kill_disable",), "OomKillDisable. OomKillDisable discarded."),
    ("io_weight", ("blkio_weight",), f"Block I/O weight {_NO_CGROUP} Weight discarded."),
    ("io_weight_device", ("blkio_weight_device",), f"Block I/O weight_device {_NO_CGROUP} Weight-device discarded."),
    ("io_throttle", _THROTTLES, f"BPS and IOPS Block I/O limits {_NO_CGROUP} Block I/O limits discarded."),
)


def within(host: HostConfig, able: Abilities) -> tuple[HostConfig, tuple[str, ...]]:
    """`host` without the limits that this machine cannot keep, and a warning for each."""
    empty = HostConfig()
    warnings = []
    for ability, names, what in _RULES:
        if not getattr(able, ability) and any(getattr(host, name) for name in names):
            host = msgspec.structs.replace(host, **{name: getattr(empty, name) for name in names})
            warnings.append(f"Your kernel does not support {what}")
    if host.memory_swappiness not in (None, -1) and not able.swappiness:
        host = msgspec.structs.replace(host, memory_swappiness=None)
        warnings.append(f"Your kernel does not support memory swappiness capabilities {_NO_CGROUP} Discarded.")
    if host.memory_swap > 0 and not (able.swap and host.memory):
        if host.memory:
            what = f"swap limit capabilities {_NO_CGROUP} Memory limited without swap."
            warnings.append(f"Your kernel does not support {what}")
        host = msgspec.structs.replace(host, memory_swap=-1)
    return host, tuple(warnings)
