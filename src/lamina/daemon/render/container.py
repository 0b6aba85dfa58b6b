"""Containers as JSON: inspect, the list, execs, processes, changes, and a path's stat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from lamina.containers.archive import PathChange, PathStat
from lamina.containers.execs import ExecDetails
from lamina.containers.inspect import ContainerDetails, ContainerSummary
from lamina.containers.record import Record
from lamina.containers.top import Processes
from lamina.daemon.render.container_network import endpoints, network_settings, port_list
from lamina.formats.times import parse_time
from lamina.sandbox.spec import MountPoint

Version = tuple[int, int]

_NULL_WHEN_EMPTY = (
    "Binds",
    "VolumesFrom",
    "CapAdd",
    "CapDrop",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "SecurityOpt",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
    "Ulimits",
    "DeviceCgroupRules",
    "DeviceRequests",
)
_ABSENT_WHEN_EMPTY = ("Annotations", "StorageOpt", "Tmpfs", "Sysctls", "Mounts", "Init")


def inspect(item: ContainerDetails, version: Version) -> dict[str, Any]:
    """`GET /containers/{id}/json`."""
    record, folder = item.record, item.directory
    return {
        "Id": item.id,
        "Created": item.created,
        "Path": item.command[0],
        "Args": list(item.command[1:]),
        "State": _state(record),
        "Image": item.image_id,
        "ResolvConfPath": str(folder / "resolv.conf"),
        "HostnamePath": str(folder / "hostname"),
        "HostsPath": str(folder / "hosts"),
        "LogPath": str(item.log_path or ""),
        "Name": f"/{item.name}",
        "RestartCount": item.restart_count,
        "Driver": "overlay2",
        "Platform": record.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": item.apparmor_profile,
        "ExecIDs": list(item.exec_ids) or None,
        "HostConfig": {**_host_config(record), "Links": list(item.links) or None},
        "GraphDriver": _graph_driver(item),
        "Mounts": [_mount(point) for point in item.mounts],
        "Config": _config(item, version),
        "NetworkSettings": network_settings(item, version),
        **_sizes(item),
        **_manifest(item, version),
    }


def listed(item: ContainerSummary, version: Version) -> dict[str, Any]:
    """Return one container of `GET /containers/json`."""
    host = item.record.host_config
    annotations = {"Annotations": host.annotations} if version >= (1, 46) and host.annotations else {}
    return {
        **({"Health": _health_summary(item.record)} if version >= (1, 52) else {}),
        **_manifest(item, version),
        "Id": item.id,
        "Names": [f"/{item.name}", *item.link_names],
        "Image": item.image,
        "ImageID": item.image_id,
        "Command": item.command,
        "Created": parse_time(item.created) // 1_000_000_000,
        "Ports": port_list(item.ports),
        "Labels": dict(item.labels),
        "State": item.state,
        "Status": item.status,
        "HostConfig": {"NetworkMode": host.network_mode, **annotations},
        "NetworkSettings": {"Networks": endpoints(item.record, item.networks, version)},
        "Mounts": [_mount(point) for point in item.mounts],
        **_sizes(item),
    }


def executed(item: ExecDetails) -> dict[str, Any]:
    """`GET /exec/{id}/json`."""
    config = item.config
    return {
        "ID": item.id,
        "Running": item.running,
        "ExitCode": item.exit_code,
        "ProcessConfig": {
            "tty": config.tty,
            "entrypoint": config.cmd[0],
            "arguments": list(config.cmd[1:]),
            "privileged": config.privileged,
            "user": config.user,
        },
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": item.exit_code is not None,
        "ContainerID": item.container_id,
        "DetachKeys": config.detach_keys,
        "Pid": item.pid,
    }


def processes(item: Processes) -> dict[str, Any]:
    """`GET /containers/{id}/top`."""
    return {"Titles": list(item.titles), "Processes": [list(row) for row in item.rows]}


_KINDS = {"C": 0, "A": 1, "D": 2}


def changes(items: Iterable[PathChange]) -> list[dict[str, Any]]:
    """`GET /containers/{id}/changes`."""
    return [{"Path": item.path, "Kind": _KINDS[item.kind]} for item in items]


def path_stat(item: PathStat) -> dict[str, Any]:
    """Return the header of `/containers/{id}/archive`."""
    return {
        "name": item.name,
        "size": item.size,
        "mode": item.mode,
        "mtime": item.mtime,
        "linkTarget": item.link_target,
    }


def _sizes(item: ContainerDetails | ContainerSummary) -> dict[str, int | None]:
    return {} if item.size_rw is None else {"SizeRw": item.size_rw, "SizeRootFs": item.size_root_fs}


def _state(record: Record) -> dict[str, Any]:
    state = record.state
    document: dict[str, Any] = {
        "Status": state.status,
        "Running": state.running,
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started_at,
        "FinishedAt": state.finished_at,
    }
    return document | ({} if state.health is None else {"Health": msgspec.to_builtins(state.health)})


def _host_config(record: Record) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(record.host_config)
    for key in _NULL_WHEN_EMPTY:
        document[key] = document[key] or None
    for key in _ABSENT_WHEN_EMPTY:
        if not document[key] and document[key] is not False:
            del document[key]
    return document


def _mount(point: MountPoint) -> dict[str, Any]:
    document: dict[str, Any] = {"Type": point.type}
    if point.type in ("volume", "image"):
        document["Name"] = point.name
    document |= {"Source": point.source, "Destination": point.destination}
    if point.type == "volume":
        document["Driver"] = point.driver
    return document | {"Mode": point.mode, "RW": point.rw, "Propagation": point.propagation}


def _graph_driver(item: ContainerDetails) -> dict[str, Any]:
    """Return GraphDriver, with overlay2's four directories."""
    directories = item.snapshot
    data = {
        "LowerDir": ":".join(map(str, directories.lower)),
        "MergedDir": str(directories.merged),
        "UpperDir": str(directories.upper or ""),
        "WorkDir": str(directories.work or ""),
    }
    return {"Name": "overlay2", "Data": data}


def _config(item: ContainerDetails, version: Version) -> dict[str, Any]:
    config = item.config.to_docker()
    if version >= (1, 52):
        config.pop("MacAddress", None)
        if not config["OnBuild"]:
            del config["OnBuild"]
    return config


def counted(item: ContainerSummary, version: Version) -> dict[str, Any]:
    """Return one container of `GET /system/df`: as in a list, without the manifest of its image."""
    document = listed(item, version)
    document.pop("ImageManifestDescriptor", None)
    return document


def _manifest(item: ContainerDetails | ContainerSummary, version: Version) -> dict[str, Any]:
    if version < (1, 48) or item.manifest is None:
        return {}
    return {"ImageManifestDescriptor": item.manifest.to_json()}


def _health_summary(record: Record) -> dict[str, Any]:
    health = record.state.health
    if health is None:
        return {"Status": "none", "FailingStreak": 0}
    return {"Status": health.status, "FailingStreak": health.failing_streak}
