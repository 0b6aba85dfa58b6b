"""The body of `POST /containers/create`, as clients of each API version mean it.

Rules: moby, `daemon/server/router/container/container_routes.go`, `postContainersCreate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from lamina.api.containers import Config, HostConfig, MountSpec, NetworkingConfig, PortHost
from lamina.api.containers import decode as convert
from lamina.errors import InvalidInput

Version = tuple[int, int]

_READ_ONLY_IS_RECURSIVE: Version = (1, 44)  # since when `ro` covers the mounts below a bind
_MAC_WARNING = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
)
_DRIVER_WARNING = (
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. "
    "Use '--mount type=volume,volume-driver=...' instead"
)


class _Body(msgspec.Struct, rename="pascal"):
    """What the body holds beside the Config's own members."""

    host_config: dict[str, Any] | None = None
    networking_config: dict[str, Any] | None = None


_CONFIG_MEMBERS = {field.encode_name.lower() for field in msgspec.structs.fields(Config)}


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A container to be made. `warnings` are for the client, about what a newer one would say otherwise."""

    config: Config
    host: HostConfig
    networking: NetworkingConfig
    recursive_read_only: bool
    warnings: tuple[str, ...]

    @classmethod
    def read(cls, version: Version, document: dict[str, Any]) -> CreateRequest:
        """Return the request without what came later than `version`, and with the defaults of its time.

        Raise InvalidInput for what cannot be, or must not be ignored.
        """
        if not {name.lower() for name in document} & _CONFIG_MEMBERS:
            raise InvalidInput("config cannot be empty in order to create a container")
        body = convert(document, _Body)
        config, host = convert(document, Config), convert(body.host_config or {}, HostConfig)
        networking = convert(body.networking_config or {}, NetworkingConfig)
        return cls(
            _config(version, config),
            _host(version, host),
            _networking(version, networking),
            version >= _READ_ONLY_IS_RECURSIVE,
            _warnings(version, config, host),
        )


def _config(version: Version, config: Config) -> Config:
    if version >= (1, 52) and config.mac_address:
        raise InvalidInput("container-wide MAC address no longer supported; use endpoint-specific MAC address instead")
    if version < (1, 44) and config.healthcheck is not None:
        check = msgspec.structs.replace(config.healthcheck, start_interval=0)
        return msgspec.structs.replace(config, healthcheck=check)
    return config


def _networking(version: Version, networking: NetworkingConfig) -> NetworkingConfig:
    endpoints = networking.endpoints_config
    if version < (1, 44):
        if len(endpoints) > 1:
            raise InvalidInput(f"Container cannot be created with multiple network endpoints: {', '.join(endpoints)}")
        endpoints = {name: msgspec.structs.replace(item, mac_address="") for name, item in endpoints.items()}
    if version < (1, 48):
        endpoints = {name: msgspec.structs.replace(item, gw_priority=0) for name, item in endpoints.items()}
    return NetworkingConfig(endpoints_config=endpoints)


def _host(version: Version, host: HostConfig) -> HostConfig:
    # A port without a place on the host is published somewhere.
    ports = {port: places or (PortHost(),) for port, places in host.port_bindings.items()}
    changes: dict[str, Any] = {
        "port_bindings": ports,
        "mounts": tuple(_mount(version, mount) for mount in host.mounts),
    }
    if version < (1, 40) and not host.ipc_mode:
        changes["ipc_mode"] = "shareable"
    if version < (1, 42):
        changes["console_size"] = (0, 0)
    if version < (1, 43):
        changes["annotations"] = {}
    return msgspec.structs.replace(host, **changes)


def _mount(version: Version, mount: MountSpec) -> MountSpec:
    bind, volume = mount.bind_options, mount.volume_options
    if version < (1, 44) and mount.type == "bind" and bind and bind.read_only_force_recursive:
        raise InvalidInput("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
    if version < (1, 45) and volume and volume.subpath:
        raise InvalidInput("VolumeOptions.Subpath needs API v1.45 or newer")
    if version < (1, 48) and mount.type == "image":
        raise InvalidInput('Mount type "Image" needs API v1.48 or newer')
    if version < (1, 42):
        volume = volume if mount.type == "volume" else None
        mount = msgspec.structs.replace(
            mount, volume_options=volume, tmpfs_options=mount.tmpfs_options if mount.type == "tmpfs" else None
        )
        bind = bind and msgspec.structs.replace(bind, create_mountpoint=False)
    if version < (1, 40):
        bind = bind and msgspec.structs.replace(bind, non_recursive=False)
    return msgspec.structs.replace(mount, bind_options=bind)


def _warnings(version: Version, config: Config, host: HostConfig) -> tuple[str, ...]:
    warnings = []
    if version >= (1, 48) and host.volume_driver and any(_has_no_driver(mount) for mount in host.mounts):
        warnings.append(_DRIVER_WARNING)
    if (1, 44) <= version < (1, 52) and config.mac_address:
        warnings.append(_MAC_WARNING)
    if version >= (1, 52) and (empty := [port for port, places in host.port_bindings.items() if not places]):
        warnings.append(
            f"Following container port(s) have an empty list of port-bindings: {', '.join(empty)}. Such bindings will "
            "be discarded in a future version."
        )
    return tuple(warnings)


def _has_no_driver(mount: MountSpec) -> bool:
    driver = mount.volume_options.driver_config if mount.volume_options else None
    return mount.type == "volume" and not (driver and driver.name)
