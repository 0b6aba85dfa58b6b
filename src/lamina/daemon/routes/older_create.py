"""What `POST /containers/create` means for clients of older API versions (moby container_routes.go)."""

from __future__ import annotations

from typing import Any

import msgspec

from lamina.api.containers import HostConfig, MountSpec, NetworkingConfig
from lamina.errors import InvalidInput

Version = tuple[int, int]

READ_ONLY_IS_RECURSIVE: Version = (1, 44)  # since when `ro` covers the mounts below a bind


def as_meant(version: Version, host: HostConfig, networking: NetworkingConfig) -> HostConfig:
    """Return `host` without what came later than `version`, and with the defaults of its time.

    Raises InvalidInput for what must not be ignored.
    """
    changes: dict[str, Any] = {}
    if version < (1, 40) and not host.ipc_mode:
        changes["ipc_mode"] = "shareable"
    if version < (1, 43):
        changes["annotations"] = {}
    if version < (1, 44) and len(networking.endpoints_config) > 1:
        names = ", ".join(networking.endpoints_config)
        raise InvalidInput(f"Container cannot be created with multiple network endpoints: {names}")
    changes["mounts"] = tuple(_mount(version, mount) for mount in host.mounts)
    return msgspec.structs.replace(host, **changes)


def _mount(version: Version, mount: MountSpec) -> MountSpec:
    bind, volume = mount.bind_options, mount.volume_options
    if version < (1, 44) and mount.type == "bind" and bind and bind.read_only_force_recursive:
        raise InvalidInput("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
    if version < (1, 45) and volume and volume.subpath:
        raise InvalidInput("VolumeOptions.Subpath needs API v1.45 or newer")
    if version < (1, 42):
        volume = volume if mount.type == "volume" else None
        mount = msgspec.structs.replace(
            mount, volume_options=volume, tmpfs_options=mount.tmpfs_options if mount.type == "tmpfs" else None
        )
        bind = bind and msgspec.structs.replace(bind, create_mountpoint=False)
    if version < (1, 40):
        bind = bind and msgspec.structs.replace(bind, non_recursive=False)
    return msgspec.structs.replace(mount, bind_options=bind)
