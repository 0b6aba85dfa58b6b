"""The columns of `network ls` and `volume ls`."""

from __future__ import annotations

from lamina.cli.show.rows import LABELS, Column, short_id
from lamina.formats.sizes import human_size

NETWORKS = {
    "ID": Column("NETWORK ID", lambda d, trunc: short_id(d["Id"]) if trunc else str(d["Id"])),
    "Name": Column("NAME", lambda d, trunc: str(d["Name"])),
    "Driver": Column("DRIVER", lambda d, trunc: str(d["Driver"])),
    "Scope": Column("SCOPE", lambda d, trunc: str(d["Scope"])),
    "IPv4": Column("IPV4", lambda d, trunc: str(d.get("EnableIPv4", True)).lower()),
    "IPv6": Column("IPV6", lambda d, trunc: str(d.get("EnableIPv6", False)).lower()),
    "Internal": Column("INTERNAL", lambda d, trunc: str(d.get("Internal", False)).lower()),
    "Labels": LABELS,
    "CreatedAt": Column("CREATED AT", lambda d, trunc: str(d["Created"])),
}
NETWORK_DEFAULT = ("ID", "Name", "Driver", "Scope")

VOLUMES = {
    "Name": Column("VOLUME NAME", lambda d, trunc: str(d["Name"])),
    "Driver": Column("DRIVER", lambda d, trunc: str(d["Driver"])),
    "Scope": Column("SCOPE", lambda d, trunc: str(d["Scope"])),
    "Mountpoint": Column("MOUNTPOINT", lambda d, trunc: str(d["Mountpoint"])),
    "Labels": LABELS,
    "Links": Column("LINKS", lambda d, trunc: str(d["UsageData"]["RefCount"]) if d.get("UsageData") else "N/A"),
    "Size": Column("SIZE", lambda d, trunc: human_size(d["UsageData"]["Size"]) if d.get("UsageData") else "N/A"),
}
VOLUME_DEFAULT = ("Driver", "Name")
