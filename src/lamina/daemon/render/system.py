"""`version` and `info` as JSON."""

from __future__ import annotations

import os
import platform as python_platform
import threading
from typing import Any

from lamina.containers.log_drivers import DRIVERS
from lamina.daemon.http.routing import NEWEST, OLDEST, dotted
from lamina.engine.info import Info
from lamina.formats.times import now

Version = tuple[int, int]


def version(info: Info) -> dict[str, Any]:
    """`GET /version`."""
    machine = info.machine
    details = {
        "ApiVersion": dotted(NEWEST),
        "Arch": machine.go_architecture,
        "Experimental": "true",
        "GitCommit": "",
        "GoVersion": f"python{python_platform.python_version()}",
        "KernelVersion": machine.kernel,
        "MinAPIVersion": dotted(OLDEST),
        "Os": "linux",
    }
    commit = {"GitCommit": info.runtime_commit} if info.runtime_commit else {}
    runtime = {"Name": info.runtime, "Version": info.runtime_version, "Details": commit}
    return {
        "Platform": {"Name": "lamina"},
        "Components": [{"Name": "Engine", "Version": info.version, "Details": details}, runtime],
        "Version": info.version,
        "ApiVersion": dotted(NEWEST),
        "MinAPIVersion": dotted(OLDEST),
        "GitCommit": details["GitCommit"],
        "GoVersion": details["GoVersion"],
        "Os": "linux",
        "Arch": machine.go_architecture,
        "KernelVersion": machine.kernel,
        "BuildTime": "",
    }


def info(info: Info, listeners: int, debug: bool, version: Version) -> dict[str, Any]:
    """`GET /info`."""
    return {
        **_older(info, version),
        **_counts(info),
        **_storage(info),
        **_limits(info),
        **_machine(info),
        **_registries(info, version),
        **_runtimes(info, version),
        "Debug": debug,
        "NFd": len(os.listdir("/proc/self/fd")),
        "NGoroutines": threading.active_count(),
        "NEventsListener": listeners,
        "SystemTime": now(),
        "ServerVersion": info.version,
        "ExperimentalBuild": True,
        "LiveRestoreEnabled": info.live_restore,
        "Labels": list(info.labels),
        "Swarm": _NO_SWARM,
        "Warnings": list(info.warnings) or None,
        "DefaultAddressPools": [{"Base": base, "Size": size} for base, size in info.pools],
        "CDISpecDirs": list(info.cdi_folders),
    }


_NO_ARTIFACTS = {"AllowNondistributableArtifactsCIDRs": None, "AllowNondistributableArtifactsHostnames": None}

_NO_SWARM = {
    "NodeID": "",
    "NodeAddr": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}


def _counts(info: Info) -> dict[str, Any]:
    return {
        "ID": info.id,
        "Containers": info.running + info.paused + info.stopped,
        "ContainersRunning": info.running,
        "ContainersPaused": info.paused,
        "ContainersStopped": info.stopped,
        "Images": info.images,
    }


_ROLES = {
    "erofs": "erofs mounts each layer from its tar, overlayfs (overlay2) stacks them",
    "overlay": "overlay unpacks each layer, overlayfs (overlay2) stacks them",
    "copy": "copy (vfs) gives each container a copy of all files",
}


def _storage(info: Info) -> dict[str, Any]:
    return {
        # Docker's clients know overlay2: layers stacked by overlayfs, which is what containers see.
        "Driver": "overlay2" if info.driver != "copy" else "vfs",
        "DriverStatus": [
            ["Snapshots", info.driver],
            ["Roles", _ROLES[info.driver]],
            ["Reason", info.driver_reason],
            # By this row Docker's clients know a store that keeps indexes and attestations.
            ["driver-type", "io.containerd.snapshotter.v1"],
        ],
        "DockerRootDir": info.root,
        "LoggingDriver": info.log_driver,
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": None,
            "Log": list(DRIVERS),
        },
    }


def _limits(info: Info) -> dict[str, Any]:
    available = info.controllers
    return {
        "MemoryLimit": "memory" in available,
        "SwapLimit": "memory" in available,
        "CpuCfsPeriod": "cpu" in available,
        "CpuCfsQuota": "cpu" in available,
        "CPUShares": "cpu" in available,
        "CPUSet": "cpuset" in available,
        "PidsLimit": "pids" in available,
        "OomKillDisable": "memory" in available and info.machine.cgroup_version == "1",
        "IPv4Forwarding": True,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": info.machine.cgroup_version,
    }


def _machine(info: Info) -> dict[str, Any]:
    machine = info.machine
    return {
        "Name": machine.name,
        "KernelVersion": machine.kernel,
        "OperatingSystem": machine.system,
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": machine.architecture,
        "NCPU": machine.cpus,
        "MemTotal": machine.memory,
        "SecurityOptions": list(machine.security),
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "GenericResources": None,
        "Isolation": "",
        "ProductLicense": "",
        "InitBinary": "",
    }


def _registries(info: Info, version: Version) -> dict[str, Any]:
    hub = {"Name": "docker.io", "Mirrors": list(info.mirrors), "Secure": True, "Official": True}
    plain = {"Mirrors": [], "Secure": False, "Official": False}
    others = {name: {"Name": name, **plain} for name in info.insecure_registries}
    return {
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            **(_NO_ARTIFACTS if version < (1, 49) else {}),
            "InsecureRegistryCIDRs": ["127.0.0.0/8", *(name for name in info.insecure_registries if "/" in name)],
            "IndexConfigs": {"docker.io": hub, **others},
            "Mirrors": list(info.mirrors),
        },
    }


def _runtimes(info: Info, version: Version) -> dict[str, Any]:
    def commit(text: str) -> dict[str, str]:
        return {"ID": text} | ({"Expected": text} if version < (1, 49) else {})

    return {
        "Runtimes": {name: {"path": name} for name in info.runtimes},
        "DefaultRuntime": info.runtime,
        "ContainerdCommit": commit(""),
        "RuncCommit": commit(info.runtime_commit if info.runtime == "runc" else ""),
        "InitCommit": commit(""),
    }


def _older(info: Info, version: Version) -> dict[str, Any]:
    """Return the members that came and went with API versions (moby api/docs/CHANGELOG.md)."""
    members: dict[str, Any] = {}
    if version < (1, 52):
        members["KernelMemoryTCP"] = False
    if version < (1, 42):
        members["KernelMemory"] = False
    if version < (1, 50):
        # Older clients warn where these are false. Bridges are filtered here whatever they say.
        members |= dict.fromkeys(("BridgeNfIptables", "BridgeNfIp6tables"), version < (1, 48))
    if version >= (1, 49):
        members["FirewallBackend"] = {"Driver": "nftables"}
    return members
