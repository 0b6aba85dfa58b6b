"""Containers as JSON: inspect, the list, execs, processes, changes, and a path's stat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lamina.api.containers import PortHost
from lamina.containers.archive import PathChange, PathStat
from lamina.containers.execs import ExecDetails
from lamina.containers.inspect import ContainerDetails, ContainerNetwork, ContainerSummary
from lamina.containers.record import Record
from lamina.containers.top import Processes
from lamina.formats.times import parse_time
from lamina.network.model import PREDEFINED, Endpoint
from lamina.sandbox.spec import MountPoint

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


def inspect(item: ContainerDetails) -> dict[str, Any]:
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
        "HostConfig": _host_config(record),
        "GraphDriver": _graph_driver(item),
        "Mounts": [_mount(point) for point in item.mounts],
        "Config": item.config.to_docker(),
        "NetworkSettings": _network_settings(item),
        **_sizes(item),
    }


def listed(item: ContainerSummary) -> dict[str, Any]:
    """Return one container of `GET /containers/json`."""
    return {
        "Id": item.id,
        "Names": [f"/{item.name}"],
        "Image": item.image,
        "ImageID": item.image_id,
        "Command": item.command,
        "Created": parse_time(item.created) // 1_000_000_000,
        "Ports": _port_list(item.ports),
        "Labels": dict(item.labels),
        "State": item.state,
        "Status": item.status,
        "HostConfig": {"NetworkMode": item.record.host_config.network_mode},
        "NetworkSettings": {"Networks": _networks(item.record, item.networks)},
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
    shown: dict[str, Any] = {
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
    return shown | ({} if state.health is None else {"Health": msgspec.to_builtins(state.health)})


def _host_config(record: Record) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(record.host_config)
    for key in _NULL_WHEN_EMPTY:
        shown[key] = shown[key] or None
    for key in _ABSENT_WHEN_EMPTY:
        if not shown[key] and shown[key] is not False:
            del shown[key]
    return shown


def _mount(point: MountPoint) -> dict[str, Any]:
    shown: dict[str, Any] = {"Type": point.type}
    if point.type == "volume":
        shown["Name"] = point.name
    shown |= {"Source": point.source, "Destination": point.destination}
    if point.type == "volume":
        shown["Driver"] = point.driver
    return shown | {"Mode": point.mode, "RW": point.rw, "Propagation": point.propagation}


def _graph_driver(item: ContainerDetails) -> dict[str, Any]:
    """GraphDriver, with overlay2's four directories."""
    directories = item.snapshot
    data = {
        "LowerDir": ":".join(map(str, directories.lower)),
        "MergedDir": str(directories.merged),
        "UpperDir": str(directories.upper or ""),
        "WorkDir": str(directories.work or ""),
    }
    return {"Name": "overlay2", "Data": data}


def _network_settings(item: ContainerDetails) -> dict[str, Any]:
    """Return NetworkSettings. The flat members show the default bridge's endpoint, as they always did."""
    bridge = item.networks.get("bridge")
    return {
        "Bridge": "",
        "SandboxID": item.id if item.sandbox_key else "",
        "SandboxKey": item.sandbox_key,
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "Ports": {port: hosts and [_host(host) for host in hosts] for port, hosts in item.ports.items()},
        **_addresses(bridge.endpoint if bridge else None),
        "Networks": _networks(item.record, item.networks),
    }


def _host(host: PortHost) -> dict[str, str]:
    return {"HostIp": host.host_ip, "HostPort": host.host_port}


def _addresses(endpoint: Endpoint | None) -> dict[str, Any]:
    return {
        "EndpointID": endpoint.id if endpoint else "",
        "Gateway": endpoint.gateway if endpoint else "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": endpoint.ip if endpoint else "",
        "IPPrefixLen": endpoint.prefix if endpoint else 0,
        "IPv6Gateway": "",
        "MacAddress": endpoint.mac if endpoint else "",
    }


def _networks(record: Record, networks: Mapping[str, ContainerNetwork]) -> dict[str, Any]:
    return {name: _network(record, network) for name, network in networks.items()}


def _network(record: Record, network: ContainerNetwork) -> dict[str, Any]:
    asked, named = network.asked, network.name not in PREDEFINED
    ipam = {key: value for key, value in msgspec.to_builtins(asked.ipam).items() if value} if asked else {}
    return {
        "IPAMConfig": ipam or None,
        "Links": list(asked.links) or None if asked else None,
        "Aliases": list(network.aliases) or None,
        "DriverOpts": (asked.driver_opts or None) if asked else None,
        "NetworkID": network.network_id,
        **_addresses(network.endpoint),
        "MacAddress": network.mac_address,
        "DNSNames": [record.name, *network.aliases] if named else None,
    }


def _port_list(ports: Mapping[str, tuple[PortHost, ...] | None]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for key, hosts in ports.items():
        number, _, protocol = key.partition("/")
        base = {"PrivatePort": int(number.partition("-")[0]), "Type": protocol}
        if not hosts:
            shown.append(base)
        for host in hosts or ():
            shown.append({"IP": host.host_ip, **base, "PublicPort": int(host.host_port)})
    return shown
