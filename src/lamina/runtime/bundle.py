"""From a typed spec to the OCI runtime's documents: config.json and the process.json of an exec.

The shape is the OCI runtime specification's config.md and config-linux.md.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamina.linux.user_namespaces import UserNamespace
from lamina.runtime import defaults, seccomp
from lamina.runtime.defaults import granted_capabilities
from lamina.runtime.spec import (
    AnyMount,
    BindMount,
    ContainerSpec,
    Device,
    DeviceRule,
    ProcessSpec,
    Resources,
    ThrottleDevice,
)

_NAMESPACES = ("network", "pid", "ipc", "uts", "cgroup")


def render(spec: ContainerSpec, rootfs: Path, cgroups_path: str, *, cgroup_v2: bool) -> dict[str, Any]:
    """Return the config.json document. `cgroups_path` is the container's cgroup below each hierarchy's root."""
    held = _held(spec.process, spec.privileged)
    document: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": process(spec.process, privileged=spec.privileged),
        "root": {"path": os.fspath(rootfs), "readonly": spec.read_only_root},
        "mounts": _mounts(spec),
        "linux": _linux(spec, held, cgroups_path, cgroup_v2),
    }
    if spec.namespaces.uts != "host" and spec.hostname:
        document["hostname"] = spec.hostname
    if spec.annotations:
        document["annotations"] = dict(spec.annotations)
    for kind, hook in spec.hooks:
        document.setdefault("hooks", {}).setdefault(kind, []).append(dict(hook))
    return document


def _held(spec: ProcessSpec, privileged: bool) -> tuple[str, ...]:
    if spec.capabilities is not None:
        return spec.capabilities
    return granted_capabilities(privileged=privileged or spec.privileged)


def process(spec: ProcessSpec, *, privileged: bool = False) -> dict[str, Any]:
    """Return config.json's `process`, which `exec --process` takes as well."""
    held = list(_held(spec, privileged))
    # Only root keeps capabilities over execve; others get them in the bounding set alone (capabilities(7)).
    effective = held if spec.user.uid == 0 else []
    document: dict[str, Any] = {
        "args": list(spec.args),
        "env": list(spec.env),
        "cwd": spec.cwd or "/",
        "terminal": spec.terminal,
        "user": {
            "uid": spec.user.uid,
            "gid": spec.user.gid,
            "additionalGids": list(dict.fromkeys((spec.user.gid, *spec.user.additional_gids))),
        },
        "capabilities": {"bounding": held, "effective": effective, "permitted": effective},
        "noNewPrivileges": spec.no_new_privileges,
    }
    if spec.console_size and spec.terminal:
        document["consoleSize"] = {"height": spec.console_size[0], "width": spec.console_size[1]}
    if spec.rlimits:
        document["rlimits"] = [{"type": r.name, "soft": _limit(r.soft), "hard": _limit(r.hard)} for r in spec.rlimits]
    if spec.apparmor:
        document["apparmorProfile"] = spec.apparmor
    if spec.oom_score_adj is not None:
        document["oomScoreAdj"] = spec.oom_score_adj
    return document


def _limit(value: int) -> int:
    return value if value >= 0 else (1 << 64) - 1


def _linux(spec: ContainerSpec, held: tuple[str, ...], cgroups_path: str, cgroup_v2: bool) -> dict[str, Any]:
    masked = defaults.MASKED_PATHS if spec.masked_paths is None else spec.masked_paths
    readonly = defaults.READONLY_PATHS if spec.readonly_paths is None else spec.readonly_paths
    own_network = spec.namespaces.network != "host" and spec.default_sysctls
    last_gid = spec.userns.ids.last_gid if spec.userns else defaults.LAST_GID
    linux: dict[str, Any] = {
        "cgroupsPath": cgroups_path,
        "namespaces": list(_namespaces(spec, cgroup_v2)),
        "resources": resources(_set_at_start(spec.resources)) | {"devices": list(_device_rules(spec))},
        "devices": [_device(device) for device in _devices(spec)],
        "sysctl": (defaults.sysctls(last_gid) if own_network else {}) | _domain(spec) | dict(spec.sysctls),
        "maskedPaths": [] if spec.privileged else list(masked),
        "readonlyPaths": [] if spec.privileged else list(readonly),
    }
    if spec.userns is not None:
        linux |= _users(spec.userns)
    propagation = _root_propagation(spec.mounts)
    if propagation:
        linux["rootfsPropagation"] = propagation
    if spec.seccomp != "unconfined" and not (spec.privileged and spec.seccomp == "default"):
        profile = spec.seccomp
        linux["seccomp"] = (
            seccomp.default(frozenset(held)) if isinstance(profile, str) else seccomp.resolve(profile, held)
        )
    return linux


def _users(userns: UserNamespace) -> dict[str, Any]:
    """Return the mappings of a user namespace, which runc asks for although it joins one that has them."""
    parts = {"uidMappings": userns.ids.uids, "gidMappings": userns.ids.gids}
    return {
        name: [{"containerID": each.inside, "hostID": each.outside, "size": each.length} for each in ranges]
        for name, ranges in parts.items()
    }


def _domain(spec: ContainerSpec) -> dict[str, str]:
    return {"kernel.domainname": spec.domainname} if spec.domainname and spec.namespaces.uts != "host" else {}


def _namespaces(spec: ContainerSpec, cgroup_v2: bool) -> Iterator[dict[str, str]]:
    yield {"type": "mount"}
    if spec.userns is not None:
        yield {"type": "user", "path": os.fspath(spec.userns.path)}
    for kind in _NAMESPACES:
        value = getattr(spec.namespaces, kind)
        if value is None:
            value = "private" if cgroup_v2 else "host"
        if value == "private":
            yield {"type": kind}
        elif value != "host":
            yield {"type": kind, "path": value}


def _mounts(spec: ContainerSpec) -> list[dict[str, Any]]:
    """Return Docker's mounts, without those that the user's cover, and the user's, parents first."""
    taken = {os.path.normpath(mount.destination) for mount in spec.mounts}
    writable_cgroups = spec.privileged if spec.writable_cgroups is None else spec.writable_cgroups
    base = defaults.mounts(spec.shm_size, spec.privileged, writable_cgroups)
    defaults_left = [entry for entry in base if not _covered(entry["destination"], taken)]
    if spec.namespaces.ipc == "host":
        defaults_left = [mount for entry in defaults_left if (mount := _host_ipc(entry, spec.userns)) is not None]
    users = sorted(spec.mounts, key=lambda mount: os.path.normpath(mount.destination).count("/"))
    return defaults_left + [_mount(mount) for mount in users]


def _covered(path: str, taken: set[str]) -> bool:
    return any(f"{path}/".startswith(f"{destination}/") for destination in taken)


def _host_ipc(entry: dict[str, Any], userns: UserNamespace | None) -> dict[str, Any] | None:
    """Return the mount for a container with the host's IPC, which sees its shared memory (moby setupIPCDirs).

    A new mount of message queues shows those of the IPC namespace it is made in. So it needs no bind, and the host need
    not have one mounted. Only a container with users of its own may not make one: without the host's it has none.
    """
    path = entry["destination"]
    if path != "/dev/shm" and (path != "/dev/mqueue" or userns is None):
        return entry
    bind = defaults.mount(path, "bind", path, "rbind")
    return bind if path == "/dev/shm" or os.path.ismount(path) else None


def _mount(mount: AnyMount) -> dict[str, Any]:
    if isinstance(mount, BindMount):
        kind = "rbind" if mount.recursive else "bind"
        access = ("rro" if mount.read_only_below else "ro",) if mount.read_only else ()
        return defaults.mount(mount.destination, "bind", mount.source, kind, *access, mount.propagation, *mount.options)
    return defaults.mount(mount.destination, "tmpfs", "tmpfs", *mount.all_options)


def _root_propagation(mounts: tuple[AnyMount, ...]) -> str:
    """Return the propagation of the root, which must let through what its binds pass on (moby withMounts)."""
    words = {mount.propagation.removeprefix("r") for mount in mounts if isinstance(mount, BindMount)}
    return "shared" if "shared" in words else "rslave" if "slave" in words else ""


def _devices(spec: ContainerSpec) -> list[Device]:
    if not spec.privileged:
        return list(spec.devices)
    named = {device.path for device in spec.devices}
    return [device for device in host_devices() if device.path not in named] + list(spec.devices)


def _device(device: Device) -> dict[str, Any]:
    return {
        "path": device.path,
        "type": device.type,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.mode,
        "uid": device.uid,
        "gid": device.gid,
    }


def _device_rules(spec: ContainerSpec) -> Iterator[dict[str, Any]]:
    if spec.privileged:
        yield {"allow": True, "access": "rwm"}
        return
    yield from defaults.device_rules()
    for device in spec.devices:
        yield _rule(DeviceRule(device.type, device.major, device.minor, device.access))
    for rule in spec.device_rules:
        yield _rule(rule)


def _rule(rule: DeviceRule) -> dict[str, Any]:
    document: dict[str, Any] = {"allow": rule.allow, "type": rule.type, "access": rule.access}
    if rule.major is not None:
        document["major"] = rule.major
    if rule.minor is not None:
        document["minor"] = rule.minor
    return document


def device_at(path: str, inside: str | None = None, access: str = "rwm") -> Device | None:
    """Return the device node at `path` on the host, to appear at `inside`; None where it is something else."""
    info = os.stat(path)
    if stat.S_ISCHR(info.st_mode):
        return _node(inside or path, "c", info, access)
    if stat.S_ISBLK(info.st_mode):
        return _node(inside or path, "b", info, access)
    return None


def _node(path: str, kind: Any, info: os.stat_result, access: str) -> Device:
    major, minor = os.major(info.st_rdev), os.minor(info.st_rdev)
    return Device(path, kind, major, minor, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, access)


_OWN_DEV = ("/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/.lxc", "/dev/.lxd-mounts", "/dev/.udev")


def host_devices(root: str = "/dev") -> Iterator[Device]:
    """Yield every device node of the host, for privileged containers, but those that a container has of its own."""
    for entry in os.scandir(root):
        if entry.path in _OWN_DEV or entry.name == "console" or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from host_devices(entry.path)
        else:
            device = device_at(entry.path)
            if device is not None:
                yield device


def _set_at_start(limits: Resources) -> Resources:
    """Return the limits but those of -1: a new cgroup has no limit to end, and crun cannot write -1."""
    return replace(
        limits,
        cpu_quota=None if limits.cpu_quota == -1 else limits.cpu_quota,
        pids_limit=None if limits.pids_limit == -1 else limits.pids_limit,
    )


def resources(limits: Resources) -> dict[str, Any]:
    """Return config.json's `linux.resources` without devices, which `update --resources` takes as well."""
    parts: dict[str, dict[str, Any]] = {
        "memory": {
            "limit": limits.memory,
            "swap": limits.memory_swap,
            "reservation": limits.memory_reservation,
            "swappiness": limits.memory_swappiness,
            "disableOOMKiller": True if limits.oom_kill_disable else None,
        },
        "cpu": {
            "shares": limits.cpu_shares,
            "quota": limits.cpu_quota,
            "period": limits.cpu_period,
            "realtimePeriod": limits.cpu_realtime_period,
            "realtimeRuntime": limits.cpu_realtime_runtime,
            "cpus": limits.cpuset_cpus,
            "mems": limits.cpuset_mems,
        },
        "pids": {"limit": limits.pids_limit},
        "blockIO": {
            "weight": limits.blkio_weight,
            "weightDevice": _throttles(limits.blkio_weight_devices, "weight"),
            "throttleReadBpsDevice": _throttles(limits.read_bps, "rate"),
            "throttleWriteBpsDevice": _throttles(limits.write_bps, "rate"),
            "throttleReadIOPSDevice": _throttles(limits.read_iops, "rate"),
            "throttleWriteIOPSDevice": _throttles(limits.write_iops, "rate"),
        },
    }
    set_parts = {
        part: {name: value for name, value in fields.items() if value is not None} for part, fields in parts.items()
    }
    return {part: fields for part, fields in set_parts.items() if fields}


def _throttles(devices: tuple[ThrottleDevice, ...], word: str) -> list[dict[str, int]] | None:
    return [{"major": d.major, "minor": d.minor, word: d.rate} for d in devices] or None
