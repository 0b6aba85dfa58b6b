"""The columns of `ps`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lamina.cli.show.rows import LABELS, Column, ellipsis, short_id
from lamina.cli.show.times import ago, created_at
from lamina.formats.sizes import human_size

Document = Mapping[str, Any]


def _id(document: Document, trunc: bool) -> str:
    return short_id(document["Id"]) if trunc else str(document["Id"])


def _names(document: Document, trunc: bool) -> str:
    names = [name.removeprefix("/") for name in document.get("Names") or ()]
    if not trunc:
        return ",".join(names)
    return next((name for name in names if "/" not in name), "")


def _image(document: Document, trunc: bool) -> str:
    image = str(document.get("Image") or "<no image>")
    if not trunc:
        return image
    name, at, _ = image.partition("@")
    if at:
        return name
    full = image.removeprefix("sha256:")
    is_id = len(full) == 64 and document.get("ImageID", "").removeprefix("sha256:") == full
    return full[:12] if is_id else image


def _command(document: Document, trunc: bool) -> str:
    command = str(document.get("Command", ""))
    return f'"{ellipsis(command, 20) if trunc else command}"'


def _size(document: Document, trunc: bool) -> str:
    own, root = document.get("SizeRw") or 0, document.get("SizeRootFs") or 0
    shown = human_size(own, 3)
    return f"{shown} (virtual {human_size(root, 3)})" if root > 0 else shown


def _mounts(document: Document, trunc: bool) -> str:
    names = [str(mount.get("Name") or mount.get("Source", "")) for mount in document.get("Mounts") or ()]
    return ",".join(ellipsis(name, 15) if trunc else name for name in names)


def _local_volumes(document: Document, trunc: bool) -> str:
    return str(sum(mount.get("Driver") == "local" for mount in document.get("Mounts") or ()))


def _networks(document: Document, trunc: bool) -> str:
    return ",".join((document.get("NetworkSettings") or {}).get("Networks") or ())


def displayed_ports(ports: Sequence[Mapping[str, Any]]) -> str:
    """Ports as `ps` shows them: "0.0.0.0:8080->80/tcp, 53/udp"; neighbours become ranges."""
    groups: dict[tuple[str, str, bool], list[list[int]]] = {}
    mapped: list[str] = []
    for port in sorted(ports, key=lambda p: (p["PrivatePort"], p.get("IP", ""), p.get("PublicPort", 0), p["Type"])):
        address, private, public = port.get("IP", ""), port["PrivatePort"], port.get("PublicPort", 0)
        if address and public != private:
            mapped.append(f"{_host(address)}:{public}->{private}/{port['Type']}")
            continue
        ranges = groups.setdefault((address, port["Type"], bool(address)), [])
        if ranges and private == ranges[-1][1] + 1:
            ranges[-1][1] = private
        elif not ranges or private != ranges[-1][1]:
            ranges.append([private, private])
    grouped = [_group(address, kind, pair) for (address, kind, _), pairs in groups.items() for pair in pairs]
    return ", ".join(grouped + mapped)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _group(address: str, kind: str, pair: Sequence[int]) -> str:
    first, last = pair
    span = str(first) if first == last else f"{first}-{last}"
    return f"{_host(address)}:{span}->{span}/{kind}" if address else f"{span}/{kind}"


def _health(document: Document, trunc: bool) -> str:
    word = str(document.get("Status", "")).rpartition("(")[2].rstrip(")").removeprefix("health: ")
    return word if word in ("healthy", "unhealthy", "starting") else ""


COLUMNS = {
    "ID": Column("CONTAINER ID", _id),
    "Names": Column("NAMES", _names),
    "Image": Column("IMAGE", _image),
    "Command": Column("COMMAND", _command),
    "CreatedAt": Column("CREATED AT", lambda document, trunc: created_at(document["Created"])),
    "RunningFor": Column("CREATED", lambda document, trunc: ago(document["Created"])),
    "Ports": Column("PORTS", lambda document, trunc: displayed_ports(document.get("Ports") or ())),
    "State": Column("STATE", lambda document, trunc: str(document.get("State", ""))),
    "Status": Column("STATUS", lambda document, trunc: str(document.get("Status", ""))),
    "Size": Column("SIZE", _size),
    "Labels": LABELS,
    "Mounts": Column("MOUNTS", _mounts),
    "LocalVolumes": Column("LOCAL VOLUMES", _local_volumes),
    "Networks": Column("NETWORKS", _networks),
    "HealthStatus": Column("HEALTH STATUS", _health),
}
DEFAULT = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
