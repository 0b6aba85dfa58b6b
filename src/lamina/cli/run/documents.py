"""Parts of a create request in the API's own JSON.

Commands write it themselves: loading the classes of such requests takes longer than running a container.
"""

from __future__ import annotations

from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    Document = dict[str, Any]

# Where Docker's name is not the field's in PascalCase.
_NAMES = {
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "container_id_file": "ContainerIDFile",
    "device_ids": "DeviceIDs",
    "ipam": "IPAMConfig",
    "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address",
    "link_local_ips": "LinkLocalIPs",
    "uts_mode": "UTSMode",
}
# Where 0, false or nothing is not what the daemon takes without a value.
_EMPTY_COUNTS = frozenset({"init", "masked_paths", "memory_swappiness", "readonly_paths", "stop_timeout"})


def document(**fields: object) -> Document:
    """Return the fields that say something, under Docker's names."""
    return {
        docker_name(field): value
        for field, value in fields.items()
        if value or (value is not None and field in _EMPTY_COUNTS)
    }


def docker_name(field: str) -> str:
    """Return a field's name in the API."""
    return _NAMES.get(field) or "".join(word[:1].upper() + word[1:] for word in field.split("_"))
