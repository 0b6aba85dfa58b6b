"""Containers as JSON: inspect, and the lines of a list."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lamina.containers.record import MountPoint, Record, State
from lamina.daemon.render.duration import human_duration
from lamina.images.times import to_ns
from lamina.network.model import Endpoint

_NULL_WHEN_EMPTY = (
    "Binds",
    "CapAdd",
    "CapDrop",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "Mounts",
    "SecurityOpt",
    "VolumesFrom",
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is not in a container's record: where it is on disk, its endpoints, its execs, its sizes in bytes.

    `sandbox` is the file of its network namespace; `graph` the GraphDriver object; `volumes` where volumes are.
    """

    directory: Path
    log_path: str = ""
    sandbox: str = ""
    endpoints: Sequence[Endpoint] = ()
    execs: Sequence[str] = ()
    graph: Mapping[str, Any] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    image_name: str = ""
    size_rw: int | None = None
    size_root: int | None = None


def inspect(record: Record, around: Surroundings) -> dict[str, Any]:
    """`GET /containers/{id}/json`."""
    command = record.command
    shown = {
        "Id": record.id,
        "Created": record.created,
        "Path": command[0] if command else "",
        "Args": list(command[1:]),
        "State": _state(record.state),
        "Image": record.image,
        "ResolvConfPath": str(around.directory / "resolv.conf"),
        "HostnamePath": str(around.directory / "hostname"),
        "HostsPath": str(around.directory / "hosts"),
        "LogPath": around.log_path,
        "Name": f"/{record.name}",
        "RestartCount": record.restart_count,
        "Driver": "overlay2" if record.driver != "copy" else "vfs",
        "Platform": record.platform.partition("/")[0],
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(around.execs) or None,
        "HostConfig": _host_config(record),
        "GraphDriver": around.graph,
        "Mounts": [_mount(point, around) for point in record.mounts if point.type != "tmpfs" or point.options],
        "Config": _config(record),
        "NetworkSettings": network_settings(record, around),
    }
    if around.size_rw is not None:
        shown["SizeRw"], shown["SizeRootFs"] = around.size_rw, around.size_root
    return shown


def summary(record: Record, around: Surroundings) -> dict[str, Any]:
    """One line of `GET /containers/json`."""
    shown: dict[str, Any] = {
        "Id": record.id,
        "Names": [f"/{record.name}"],
        "Image": around.image_name or record.image,
        "ImageID": record.image,
        "Command": _command_line(record.command),
        "Created": to_ns(record.created) // 10**9,
        "Ports": _port_list(record, around.endpoints),
        "Labels": dict(record.config.labels),
        "State": record.state.status,
        "Status": status_text(record.state),
        "HostConfig": {"NetworkMode": record.host_config.network_mode or "default"},
        "NetworkSettings": {"Networks": _networks(record, around.endpoints)},
        "Mounts": [_mount(point, around) for point in record.mounts if point.type != "tmpfs" or point.options],
    }
    if around.size_rw is not None:
        shown["SizeRw"], shown["SizeRootFs"] = around.size_rw, around.size_root
    return shown


def _state(state: State) -> dict[str, Any]:
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
    if state.health is not None:
        shown["Health"] = msgspec.to_builtins(state.health)
    return shown


def status_text(state: State, now_ns: int | None = None) -> str:
    """`Up 5 minutes (healthy)`, `Exited (0) 3 seconds ago`, …"""
    now_ns = time.time_ns() if now_ns is None else now_ns
    started = human_duration((now_ns - to_ns(state.started_at)) / 1e9)
    finished = human_duration((now_ns - to_ns(state.finished_at)) / 1e9)
    match state.status:
        case "paused":
            return f"Up {started} (Paused)"
        case "restarting":
            return f"Restarting ({state.exit_code}) {finished} ago"
        case "running":
            return f"Up {started}{_health_text(state)}"
        case "removing":
            return "Removal In Progress"
        case "dead":
            return "Dead"
        case "created":
            return "Created"
    return f"Exited ({state.exit_code}) {finished} ago"


def _health_text(state: State) -> str:
    if state.health is None:
        return ""
    return " (health: starting)" if state.health.status == "starting" else f" ({state.health.status})"


def _config(record: Record) -> dict[str, Any]:
    shown = record.config.to_docker()
    shown["Labels"] = dict(record.config.labels)
    return shown


def _host_config(record: Record) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(record.host_config)
    for name in _NULL_WHEN_EMPTY:
        shown[name] = list(shown.get(name) or ()) or None
    shown["NetworkMode"] = shown["NetworkMode"] or "default"
    shown["PortBindings"] = {port: list(hosts) for port, hosts in shown["PortBindings"].items()}
    shown["RestartPolicy"]["Name"] = shown["RestartPolicy"]["Name"] or "no"
    return shown


def _mount(point: MountPoint, around: Surroundings) -> dict[str, Any]:
    shown: dict[str, Any] = {"Type": point.type}
    if point.name:
        shown["Name"] = point.name
    shown["Source"] = around.volumes.get(point.name, "") if point.type == "volume" else point.source
    shown["Destination"] = point.destination
    if point.driver:
        shown["Driver"] = point.driver
    return shown | {"Mode": point.mode, "RW": point.rw, "Propagation": point.propagation}


def network_settings(record: Record, around: Surroundings) -> dict[str, Any]:
    """`NetworkSettings` of inspect. The members outside `Networks` are those of the default bridge, as ever."""
    default = next((e for e in around.endpoints if e.network == "bridge"), None)
    return {
        "Bridge": "",
        "SandboxID": record.id if around.sandbox else "",
        "SandboxKey": around.sandbox,
        "Ports": _ports(record, around.endpoints),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": default.id if default else "",
        "Gateway": default.gateway if default else "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": default.ip if default else "",
        "IPPrefixLen": default.prefix if default else 0,
        "IPv6Gateway": "",
        "MacAddress": default.mac if default else "",
        "Networks": _networks(record, around.endpoints),
    }


def _networks(record: Record, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """By network's name: what was asked for, and what the running container has of it."""
    present = {endpoint.network: endpoint for endpoint in endpoints}
    shown = {}
    for name, wanted in record.networks.items():
        endpoint = present.get(name)
        address = wanted.ipam.ipv4_address
        shown[name] = {
            "IPAMConfig": {"IPv4Address": address} if address else None,
            "Links": list(wanted.links) or None,
            "Aliases": list(wanted.aliases) or None,
            "MacAddress": endpoint.mac if endpoint else wanted.mac_address,
            "NetworkID": endpoint.network_id if endpoint else "",
            "EndpointID": endpoint.id if endpoint else "",
            "Gateway": endpoint.gateway if endpoint else "",
            "IPAddress": endpoint.ip if endpoint else "",
            "IPPrefixLen": endpoint.prefix if endpoint else 0,
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "DriverOpts": dict(wanted.driver_opts) or None,
            "DNSNames": [record.name, record.id[:12]],
        }
    return shown


def _ports(record: Record, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Each exposed port with the host's ports it is published at, null where it is not."""
    if not endpoints:
        return {}
    shown: dict[str, Any] = dict.fromkeys(record.config.exposed_ports)
    for endpoint in endpoints:
        for binding in endpoint.ports:
            key = f"{binding.container_port}/{binding.proto}"
            place = {"HostIp": binding.host_ip, "HostPort": str(binding.host_port)}
            shown[key] = [*(shown.get(key) or []), place]
    return shown


def _port_list(record: Record, endpoints: Sequence[Endpoint]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for key, places in _ports(record, endpoints).items():
        port, _, proto = key.partition("/")
        if not places:
            shown.append({"PrivatePort": int(port), "Type": proto})
        for place in places or ():
            public = {"IP": place["HostIp"], "PrivatePort": int(port), "PublicPort": int(place["HostPort"])}
            shown.append(public | {"Type": proto})
    return shown


def _command_line(command: Sequence[str]) -> str:
    """The command as `ps` shows it; arguments with spaces are quoted."""
    if not command:
        return ""
    arguments = (f"'{word}'" if " " in word else word for word in command[1:])
    return " ".join([command[0], *arguments])
