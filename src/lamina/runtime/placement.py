"""Who puts what into a container's root: the monitor, by descriptors, or the runtime program, by path.

A path in a root is the image's to choose, and in a volume that of every container that has it, at any time
(CVE-2021-30465). So all mounts are attached by the monitor (see `monitor.rootmounts`), in a mount namespace of its own,
and device nodes are made by it. What is left for the runtime program lies below /dev, /proc and /sys, which it mounts
anew over real directories: there nobody has anything before the container runs. Mounts that propagate are left to it
too, since it makes all others private.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lamina.errors import InvalidInput
from lamina.linux.paths import followed
from lamina.linux.user_namespaces import IdMap, UserNamespace
from lamina.runtime.spec import AnyMount, BindMount, ContainerSpec, Device, DeviceRule, TmpfsMount

KERNEL_PLACES = ("/dev", "/proc", "/sys")
_WHOLE = ("/dev", "/dev/pts", "/proc", "/sys")  # where the runtime or the kernel's own tree decides what is there
# What lxcfs shows in place of the kernel's files, and two settings. runc allows the same
# (libcontainer/rootfs_linux.go, checkProcMount).
_PROC_FILES = (
    *("cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev"),
    *("sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"),
)


@dataclass(slots=True)
class Placement:
    """A container's mounts and devices by who makes them; destinations of `runtime_mounts` are free of symlinks."""

    mounts: list[AnyMount] = field(default_factory=list)
    nodes: list[Device] = field(default_factory=list)
    runtime_mounts: list[AnyMount] = field(default_factory=list)
    runtime_devices: list[Device] = field(default_factory=list)

    def left(self, spec: ContainerSpec) -> ContainerSpec:
        """Return `spec` as the runtime program gets it, which still allows the devices that the monitor makes."""
        rules = (DeviceRule(node.type, node.major, node.minor, node.access) for node in self.nodes)
        return replace(
            spec,
            mounts=tuple(self.runtime_mounts),
            devices=tuple(self.runtime_devices),
            device_rules=(*rules, *spec.device_rules),
        )

    def document(self, root: Path, userns: UserNamespace | None = None) -> dict[str, Any]:
        """Return what `monitor.rootmounts` reads, for a container with the users of `userns`.

        `foreign` says that a source is not ours and may hang, as network file systems do.
        """
        ids = userns.ids if userns else None
        return {
            "root": os.fspath(root),
            "mounts": [_mount(mount, ids) for mount in self.mounts],
            "nodes": [_node(device, ids) for device in self.nodes],
            "userns": os.fspath(userns.path) if userns else "",
            "owner": ids.root if ids else None,
            "foreign": any(isinstance(mount, BindMount) and not mount.own for mount in self.mounts),
        }


def place(spec: ContainerSpec, root: Path) -> Placement:
    """Divide what `spec` wants mounted or made in the tree at `root`. Raise InvalidInput for what nobody may do."""
    placement = Placement()
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for mount in sorted(spec.mounts, key=lambda mount: _clean(mount.destination).count("/")):
            _place_mount(placement, mount, root_fd)
        for device in spec.devices:
            _place_device(placement, device, root_fd)
    finally:
        os.close(root_fd)
    return placement


def _place_mount(placement: Placement, mount: AnyMount, root_fd: int) -> None:
    path, outer = _located(placement, mount.destination, root_fd)
    placed = replace(mount, destination=path)
    if is_below(path, KERNEL_PLACES):
        _check(placed, outer)
        placement.runtime_mounts.append(placed)
    elif outer in placement.runtime_mounts or _propagates(mount):
        placement.runtime_mounts.append(placed)
    else:
        placement.mounts.append(placed)


def _place_device(placement: Placement, device: Device, root_fd: int) -> None:
    path, outer = _located(placement, device.path, root_fd)
    placed = replace(device, path=path)
    if is_below(path, ("/dev",)):
        if outer is not None and not _of_the_host(outer):
            raise InvalidInput(f"cannot make the device {path}: it lies in the mount at {outer.destination}", path=path)
        placement.runtime_devices.append(placed)
    else:
        placement.nodes.append(placed)


def _located(placement: Placement, path: str, root_fd: int) -> tuple[str, AnyMount | None]:
    """Return where `path` leads as far as the image decides it, and the mount that it lies in.

    What lies in a mount is left as it is: the image's links are hidden there, and the mount's own may change.
    """
    clean = _clean(path)
    placed = (*placement.mounts, *placement.runtime_mounts)
    outer = _outer(placed, clean)
    if outer is None:
        clean = followed(root_fd, clean)
        outer = _outer(placed, clean)
    return clean, outer


def _outer(mounts: Sequence[AnyMount], path: str) -> AnyMount | None:
    above = [mount for mount in mounts if mount.destination != path and is_below(path, (mount.destination,))]
    return max(above, key=lambda mount: len(mount.destination), default=None)


def _check(mount: AnyMount, outer: AnyMount | None) -> None:
    path = mount.destination
    if path in _WHOLE and not _of_the_host(mount) and not (path == "/dev" and isinstance(mount, TmpfsMount)):
        raise InvalidInput(
            f"cannot mount over {path}: only the host's own {path} may be mounted there",
            advice="The runtime makes and opens files there by path",
            path=path,
        )
    if path.startswith("/proc/") and path.removeprefix("/proc/") not in _PROC_FILES:
        raise InvalidInput(f"cannot mount at {path}: it lies inside /proc", path=path)
    # A new tmpfs is empty until the runtime fills it, so there is no link in it that the runtime would follow.
    if outer is not None and not isinstance(outer, TmpfsMount) and not _of_the_host(outer):
        raise InvalidInput(f"cannot mount at {path}: it lies in the mount at {outer.destination}", path=path)


def _of_the_host(mount: AnyMount) -> bool:
    """Return whether a mount shows what the host has at the same path, in a directory that not everybody writes in."""
    if not isinstance(mount, BindMount):
        return False
    try:
        source, own = os.stat(mount.source), os.stat(mount.destination)
    except OSError:
        return False
    return os.path.samestat(source, own) and not source.st_mode & stat.S_IWOTH


def _propagates(mount: AnyMount) -> bool:
    return isinstance(mount, BindMount) and mount.propagation.removeprefix("r") != "private"


def is_below(path: str, folders: Sequence[str]) -> bool:
    """Return whether `path`, which is clean, is one of `folders` or lies in one."""
    return any(f"{path}/".startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _clean(path: str) -> str:
    return os.path.normpath(f"/{path}").replace("//", "/")


def _mount(mount: AnyMount, ids: IdMap | None) -> dict[str, Any]:
    if isinstance(mount, TmpfsMount):
        return {"destination": mount.destination, "options": _with_owner(mount.all_options, ids)}
    return {
        "destination": mount.destination,
        "source": mount.source,
        "read_only": mount.read_only,
        "read_only_below": mount.read_only_below,
        "recursive": mount.recursive,
        "options": mount.options,
        "idmapped": mount.idmapped,
    }


def _with_owner(options: Sequence[str], ids: IdMap | None) -> tuple[str, ...]:
    """Return a tmpfs's options with the owner as the host knows it: root of the container, unless they name another.

    Raise InvalidInput for ids that the container does not have.
    """
    if ids is None:
        return tuple(options)
    named = {"uid": 0, "gid": 0}
    others = []
    for option in options:
        key, _, value = option.partition("=")
        if key in named and value.isdigit():
            named[key] = int(value)
        else:
            others.append(option)
    uid, gid = ids.to_host(named["uid"], named["gid"])
    return (*others, f"uid={uid}", f"gid={gid}")


def _node(device: Device, ids: IdMap | None) -> dict[str, Any]:
    uid, gid = ids.root if ids else (device.uid, device.gid)
    return {
        "path": device.path,
        "type": device.type,
        "rdev": os.makedev(device.major, device.minor),
        "mode": device.mode,
        "uid": uid,
        "gid": gid,
    }
