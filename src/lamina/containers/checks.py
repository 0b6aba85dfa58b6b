"""What a request may not ask: dockerd's rules, in its words."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator

from lamina.api.containers import Config, HostConfig, NetworkingConfig
from lamina.containers import ports
from lamina.containers.endpoints import check_endpoint, check_mac
from lamina.containers.log_drivers import check_log
from lamina.containers.stop import parse_signal
from lamina.errors import InvalidInput
from lamina.formats.runconfig import Healthcheck
from lamina.runtime import security
from lamina.runtime.defaults import granted_capabilities
from lamina.sandbox import limit_checks

LONGEST_HOSTNAME = 64  # bytes, HOST_NAME_MAX
_SHORTEST_CHECK = 1_000_000  # nanoseconds between health checks
_RESTART = ("", "no", "always", "on-failure", "unless-stopped")
# Sysctls of the IPC namespace, and how a name is spelled, as in runc (libcontainer/configs/validate)
_IPC_SYSCTLS = frozenset(
    f"kernel.{name}" for name in ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"]
)
_SYSCTL_PART = re.compile(r"[\w:-][\w:./-]*", re.ASCII)
_NO_LINKS = "can't be used with links. This would result in undefined behavior"
_DEFAULT = ("bridge", "default")  # names of the default network in requests
_MODES = {
    "IPC": ("", "none", "private", "shareable", "host"),
    "PID": ("", "private", "host"),
    "UTS": ("", "private", "host"),
    "cgroup namespace": ("", "private", "host"),
    "userns": ("", "private", "host"),
}


def check_request(host: HostConfig, config: Config, networking: NetworkingConfig) -> None:
    """Raise InvalidInput for options that contradict each other.

    `config` is the request, without what the image adds: an image may expose ports in a container that has no network
    of its own.
    """
    if host.uts_mode == "host" and config.hostname:
        raise InvalidInput("conflicting options: hostname and the UTS mode")
    check_mac(config.mac_address)
    for name, endpoint in networking.endpoints_config.items():
        check_endpoint("bridge" if name in _DEFAULT and host.network_mode in ("", *_DEFAULT) else name, endpoint)
    if host.network_mode == "host" and host.links:
        raise InvalidInput(f"conflicting options: host type networking {_NO_LINKS}")
    if not host.network_mode.startswith("container:"):
        return
    if host.network_mode == "container:":
        raise InvalidInput("invalid network mode: invalid container format container:<name|id>")
    for option, conflict in (
        (config.hostname, "hostname and the network mode"),
        (config.mac_address, "mac-address and the network mode"),
        (host.links, f"container type network {_NO_LINKS}"),
        (host.dns, "dns and the network mode"),
        (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (host.port_bindings or host.publish_all_ports, "port publishing and the container type network mode"),
        (config.exposed_ports, "port exposing and the container type network mode"),
    ):
        if option:
            raise InvalidInput(f"conflicting options: {conflict}")


def check(host: HostConfig, config: Config) -> None:
    """Raise InvalidInput for impossible limits and modes."""
    limit_checks.check(host)
    if host.shm_size < 0:
        raise InvalidInput("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidInput(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    _check_modes(host)
    if host.restart_policy.name not in _RESTART:
        raise InvalidInput(f"invalid restart policy: unknown policy '{host.restart_policy.name}'")
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise InvalidInput("can't create 'AutoRemove' container with restart policy")
    if host.restart_policy.maximum_retry_count and host.restart_policy.name != "on-failure":
        raise InvalidInput("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if host.restart_policy.maximum_retry_count < 0:
        raise InvalidInput("invalid restart policy: maximum retry count cannot be negative")
    check_log(host.log_config)
    _check_drivers(host)
    if len(os.fsencode(config.hostname)) > LONGEST_HOSTNAME:
        raise InvalidInput(f'hostname "{config.hostname}" is too long (maximum {LONGEST_HOSTNAME} bytes)')
    _check_addresses(host)
    for entry in config.env:
        if not entry.partition("=")[0]:
            raise InvalidInput(f"invalid environment variable: {entry}", env=entry)
    parse_signal(config.stop_signal)
    _check_health(config.healthcheck)
    ports.wanted(config, host)
    _check_sysctls(host)
    if "" in host.annotations:
        raise InvalidInput("invalid Annotations: the empty string is not permitted as an annotation key")
    security.check_labels(security.parse(host.security_opt))
    granted_capabilities(host.cap_add, host.cap_drop)


def check_remapped(host: HostConfig) -> None:
    """Raise InvalidInput for what a container with users of its own cannot have (moby daemon/daemon_unix.go)."""
    if host.privileged:
        raise InvalidInput(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace "
            "when running privileged mode",
            advice="Add --userns=host",
        )
    for what, mode in (("host's network", host.network_mode), ("host PID", host.pid_mode)):
        if mode == "host":
            raise InvalidInput(
                f"cannot share the {what} namespace when user namespaces are enabled", advice="Add --userns=host"
            )


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
    """Refuse what we have no driver for instead of ignoring it."""
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


def check_runtime(name: str, program: str, others: tuple[str, ...]) -> None:
    """Raise InvalidInput for a runtime that this engine does not run.

    `runc` and containerd's name for it mean the engine's own, which takes the same bundles.
    """
    if name not in ("", program, "runc", "io.containerd.runc.v2", *others):
        raise InvalidInput(f"unknown or invalid runtime name: {name}", runtime=name)


def _check_sysctls(host: HostConfig) -> None:
    """Raise InvalidInput for a sysctl that is not in one of the container's own namespaces.

    Others are the host's, or another container's (sysctl(8), namespaces(7)).
    """
    own = set(_own_namespaces(host))
    for name in host.sysctls:
        dotted = _dotted(name)
        if dotted == "kernel.hostname":
            raise InvalidInput(f'sysctl "{name}" is not allowed', advice="Set the host name with --hostname", name=name)
        kind = _namespace_of(dotted)
        if not kind:
            raise InvalidInput(f'sysctl "{name}" is not in a separate kernel namespace', name=name)
        if kind not in own:
            raise InvalidInput(
                f'sysctl "{name}" is not allowed: the container has no {kind} namespace of its own', name=name
            )


def _dotted(name: str) -> str:
    """Return the name with dots between its parts; the first dot or slash in it is its separator."""
    parts = name.split(next((sign for sign in name if sign in "./"), "."))
    if not all(_SYSCTL_PART.fullmatch(part) for part in parts):
        raise InvalidInput(f'sysctl "{name}" is not a name of sysctl(8)', name=name)
    return ".".join(parts)


def _namespace_of(dotted: str) -> str:
    """Return the kind of namespace that has the sysctl, "" for the host's."""
    if dotted.startswith("net."):
        return "network"
    if dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue."):
        return "IPC"
    return "UTS" if dotted == "kernel.domainname" else ""


def _own_namespaces(host: HostConfig) -> Iterator[str]:
    modes = {"network": host.network_mode, "IPC": host.ipc_mode, "UTS": host.uts_mode}
    for kind, mode in modes.items():
        if mode != "host" and not mode.startswith("container:"):
            yield kind
