"""What `inspect` shows of a container."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from lamina.containers.container import Container
from lamina.containers.record import Record
from lamina.containers.rooms import Rooms
from lamina.errors import NotFound, Unsupported
from lamina.network.model import Endpoint
from lamina.runtime import security
from lamina.runtime.apparmor import DEFAULT
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


def inspect(container: Container, rooms: Rooms, execs: Sequence[str], *, size: bool = False) -> dict[str, Any]:
    """As `GET /containers/{id}/json` has it; with `size` also the bytes of its files."""
    record = container.record
    folder = container.directory
    shown: dict[str, Any] = {
        "Id": record.id,
        "Created": record.created,
        "Path": record.command[0],
        "Args": list(record.command[1:]),
        "State": state(record),
        "Image": record.image,
        "ResolvConfPath": str(folder / "resolv.conf"),
        "HostnamePath": str(folder / "hostname"),
        "HostsPath": str(folder / "hosts"),
        "LogPath": str(container.log_path) if record.host_config.log_config.type == "json-file" else "",
        "Name": f"/{record.name}",
        "RestartCount": record.restart_count,
        "Driver": "overlay2",
        "Platform": record.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": _apparmor(record, rooms),
        "ExecIDs": list(execs) or None,
        "HostConfig": host_config(record),
        "GraphDriver": graph_driver(container, rooms),
        "Mounts": [mount(point) for point in record.mounts if point.type != "tmpfs"],
        "Config": config(record),
        "NetworkSettings": network_settings(record, rooms),
    }
    if size:
        own, below = sizes(container, rooms)
        shown |= {"SizeRw": own, "SizeRootFs": own + below}
    return shown


def _apparmor(record: Record, rooms: Rooms) -> str:
    """Return the profile that the container starts with, "" on a host without AppArmor."""
    host, apparmor = record.host_config, rooms.runtime.apparmor
    if not apparmor.enabled:
        return ""
    default = DEFAULT if apparmor.in_force else ""
    return security.parse(host.security_opt).profile(privileged=host.privileged) or default


def sizes(container: Container, rooms: Rooms) -> tuple[int, int]:
    """Bytes of the files that the container changed, and of its image; of what is removed meanwhile none."""
    own = below = 0
    with suppress(NotFound):
        below = rooms.images.get(container.record.image).size
    with suppress(NotFound):
        own = rooms.snapshots.get(container.id).usage()
    return own, below


def state(record: Record) -> dict[str, Any]:
    """The State object."""
    now = record.state
    shown: dict[str, Any] = {
        "Status": now.status,
        "Running": now.running,
        "Paused": now.status == "paused",
        "Restarting": now.status == "restarting",
        "OOMKilled": now.oom_killed,
        "Dead": now.status == "dead",
        "Pid": now.pid,
        "ExitCode": now.exit_code,
        "Error": now.error,
        "StartedAt": now.started_at,
        "FinishedAt": now.finished_at,
    }
    if now.health is not None:
        shown["Health"] = msgspec.to_builtins(now.health)
    return shown


def config(record: Record) -> dict[str, Any]:
    """The Config object."""
    return record.config.to_docker()


def host_config(record: Record) -> dict[str, Any]:
    """The HostConfig object."""
    shown: dict[str, Any] = msgspec.to_builtins(record.host_config)
    for key in _NULL_WHEN_EMPTY:
        shown[key] = shown[key] or None
    for key in _ABSENT_WHEN_EMPTY:
        if not shown[key] and shown[key] is not False:
            del shown[key]
    return shown


def mount(point: MountPoint) -> dict[str, Any]:
    """One entry of Mounts."""
    shown: dict[str, Any] = {"Type": point.type}
    if point.type == "volume":
        shown["Name"] = point.name
    shown |= {"Source": point.source, "Destination": point.destination}
    if point.type == "volume":
        shown["Driver"] = point.driver
    return shown | {"Mode": point.mode, "RW": point.rw, "Propagation": point.propagation}


def graph_driver(container: Container, rooms: Rooms) -> dict[str, Any]:
    """GraphDriver, with overlay2's four directories."""
    where = rooms.snapshots.get(container.id).directories
    data = {
        "LowerDir": ":".join(map(str, where.lower)),
        "MergedDir": str(where.merged),
        "UpperDir": str(where.upper or ""),
        "WorkDir": str(where.work or ""),
    }
    return {"Name": "overlay2", "Data": data}


def network_settings(record: Record, rooms: Rooms) -> dict[str, Any]:
    """NetworkSettings; the flat members show the default bridge's endpoint, as they always did."""
    mode = record.host_config.network_mode
    joined = {} if mode in ("host", "none") or not record.state.running else _joined(record, rooms)
    bridge = joined.get("bridge")
    key = f"{rooms.runtime.exec_root.parent}/netns/{record.id}" if joined else ""
    return {
        "Bridge": "",
        "SandboxID": record.id if joined else "",
        "SandboxKey": key,
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "Ports": port_map(record, list(joined.values())),
        **_addresses(bridge),
        "Networks": {name: _endpoint(record, name, joined.get(name), rooms) for name in (record.networks | joined)},
    }


def _joined(record: Record, rooms: Rooms) -> dict[str, Endpoint]:
    return {endpoint.network: endpoint for endpoint in rooms.networks.joined(record.id)}


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


def _endpoint(record: Record, name: str, endpoint: Endpoint | None, rooms: Rooms) -> dict[str, Any]:
    asked = record.networks.get(name)
    network_id = endpoint.network_id if endpoint else _network_id(name, rooms)
    ipam = {key: value for key, value in msgspec.to_builtins(asked.ipam).items() if value} if asked else {}
    aliases = list(dict.fromkeys((*(asked.aliases if asked else ()), *(endpoint.aliases if endpoint else ()))))
    user_made = name not in ("bridge", "host", "none")
    return {
        "IPAMConfig": ipam or None,
        "Links": list(asked.links) or None if asked else None,
        "Aliases": (aliases or None) if user_made else None,
        "DriverOpts": (asked.driver_opts or None) if asked else None,
        "NetworkID": network_id,
        **_addresses(endpoint),
        "MacAddress": endpoint.mac if endpoint else asked.mac_address if asked else "",
        "DNSNames": [record.name, *aliases] if user_made else None,
    }


def _network_id(name: str, rooms: Rooms) -> str:
    try:
        return rooms.networks.get(name).id
    except (NotFound, Unsupported):  # an engine without privilege has no networks
        return ""


def port_map(record: Record, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Ports: what is exposed, with where it is published."""
    if not record.state.running:
        return {}
    shown: dict[str, Any] = {port if "/" in port else f"{port}/tcp": None for port in record.config.exposed_ports}
    for endpoint in endpoints:
        for port in endpoint.ports:
            key = f"{port.container_port}/{port.proto}"
            addresses = [port.host_ip] if port.host_ip else ["0.0.0.0", "::"]
            places = [{"HostIp": address, "HostPort": str(port.host_port)} for address in addresses]
            shown[key] = (shown.get(key) or []) + places
    return shown
