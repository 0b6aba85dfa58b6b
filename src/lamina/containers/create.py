"""Making a container: what was asked for, completed by the image and by Docker's defaults."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

import msgspec

from lamina.api.containers import Config, HostConfig, LogConfig, NetworkingConfig, RestartPolicy
from lamina.containers import checks
from lamina.containers.catalog import Catalog, check_name
from lamina.containers.endpoints import networks_of
from lamina.containers.image_mounts import prepare_images
from lamina.containers.links import with_links_by_id
from lamina.containers.live_tars import copy_up
from lamina.containers.mount_requests import MountRules
from lamina.containers.record import Record
from lamina.containers.rooms import Rooms
from lamina.containers.specs import with_donors_by_id
from lamina.errors import InvalidInput, LaminaError, NotFound, Unsupported
from lamina.formats.platform import Platform
from lamina.formats.times import now
from lamina.images.catalog import no_such_image
from lamina.images.config_changes import inherit
from lamina.images.image import Image
from lamina.layers.layer import Layer
from lamina.linux.user_namespaces import UserNamespace
from lamina.network.model import Network
from lamina.runtime import security
from lamina.runtime.cgroups.layout import abilities
from lamina.runtime.defaults import MASKED_PATHS, READONLY_PATHS
from lamina.sandbox import limit_checks
from lamina.sandbox.init_layers import InitLayers
from lamina.sandbox.spec import Defaults, MountPoint


@dataclass(frozen=True, slots=True)
class Created:
    """A new container's ID, and what it cannot have as asked."""

    id: str
    warnings: tuple[str, ...] = ()


class Creator:
    """Make containers from requests."""

    def __init__(self, rooms: Rooms, catalog: Catalog, defaults: Defaults) -> None:
        self._rooms = rooms
        self._catalog = catalog
        self._defaults = defaults
        self._init_layers = InitLayers(rooms.store)

    def create(
        self,
        name: str | None,
        config: Config,
        host: HostConfig,
        networking: NetworkingConfig,
        platform: Platform | None = None,
        *,
        recursive_read_only: bool = True,
    ) -> Created:
        """Make a container and all it needs but its process; after a failure nothing of it is left.

        Read-only binds cover what is mounted below them, unless they say otherwise or `recursive_read_only` is false.

        Raise NotFound for a missing image, Conflict for a name in use, InvalidInput, NoSpace.
        """
        checks.check_request(host, config, networking)
        image = self._image(config, platform)
        id = secrets.token_hex(32)
        config, host, discarded = self._settled(config, host, image, id)
        with self._rooms.store.lease() as lease, ExitStack() as undo:
            if not all(lease.add(digest) for digest in (image.id, *image.config.diff_ids)):
                raise no_such_image(config.image)  # it went just now
            taken = self._catalog.reserve(check_name(name) if name else None, id)
            undo.callback(self._catalog.release, taken)
            undo.callback(self._rooms.volumes.settle, id)
            points = self._mount_rules(recursive_read_only).resolve(config, host)
            points = tuple(self._volume(point, host, id, undo) for point in points)
            points = prepare_images(self._rooms, id, points, lease, undo)
            init = self._init_layers.of(image, lease)
            layers = (*image.layers, init) if init else image.layers
            userns = self._defaults.userns_of(host)
            self._make_files(id, layers, points, userns, undo, durable=not host.auto_remove)
            record = Record(
                id=id,
                name=taken,
                created=now(),
                image=str(image.id),
                platform=image.platform.os,
                config=config,
                host_config=host,
                networks=networks_of(host, networking, self._network),
                mounts=points,
                driver=self._rooms.snapshots.name,
            )
            self._catalog.add(record, [layer.diff_id for layer in layers], init.diff_id if init else None)
            undo.pop_all()
        self._rooms.volumes.settle(id)
        return Created(id, (*discarded, *self._warnings(host, image, platform)))

    def _settled(
        self, config: Config, host: HostConfig, image: Image, id: str
    ) -> tuple[Config, HostConfig, Sequence[str]]:
        """Check a request, and complete what it leaves open. Return it with warnings about what this machine lacks."""
        config = _completed(config, image)
        host = with_donors_by_id(_with_defaults(host, self._defaults, self._rooms), self._catalog.get)
        host = with_links_by_id(host, self._catalog.get)
        checks.check(host, config)
        if self._defaults.userns_of(host) is not None:
            checks.check_remapped(host)
        runtime = self._rooms.runtime
        runtime.warmth.expect()
        checks.check_runtime(host.runtime, runtime.program.name, self._defaults.runtimes)
        runtime.apparmor.check(security.parse(host.security_opt).apparmor)
        host, discarded = limit_checks.within(host, abilities(runtime.layout))
        if not config.hostname:
            shared = "host" in (host.network_mode, host.uts_mode)
            config = msgspec.structs.replace(config, hostname=os.uname().nodename if shared else id[:12])
        return config, host, discarded

    def _network(self, reference: str) -> Network:
        return self._rooms.networks.get(reference)

    def _mount_rules(self, recursive_read_only: bool) -> MountRules:
        return MountRules(
            self._mounts_of,
            str(self._catalog.root.parent),
            recursive_read_only=recursive_read_only,
        )

    def _mounts_of(self, other: str) -> Sequence[MountPoint]:
        """Return the mounts of a container that `--volumes-from` names. Raise InvalidInput for one that is not here."""
        try:
            return self._catalog.get(other).record.mounts
        except NotFound as error:
            raise InvalidInput(error.message, container=other) from error

    def _make_files(
        self,
        id: str,
        layers: Sequence[Layer],
        points: Sequence[MountPoint],
        userns: UserNamespace | None,
        undo: ExitStack,
        *,
        durable: bool,
    ) -> None:
        """Make the container's snapshot and directory, and fill its new volumes.

        A container with `--rm` is not `durable`: a power cut ends it, and its changes go with it. So nothing but its
        volumes waits for the disk.
        """
        self._rooms.snapshots.prepare(id, layers, durable=durable)
        undo.callback(self._rooms.snapshots.remove, id)
        directory = self._catalog.root / id
        directory.mkdir(mode=0o700)
        undo.callback(directory.rmdir)
        copy_up(self._rooms, id, points, userns)

    def _image(self, config: Config, platform: Platform | None) -> Image:
        if not config.image:
            raise InvalidInput("no image specified: Config.Image is empty", field="Image")
        image = self._rooms.images.get(config.image)
        if platform is not None and not image.platform.matches(platform):
            index = self._rooms.images.indexes.find(config.image)
            image = (index.image_for(platform) if index else None) or image
        if platform is not None and not image.platform.matches(platform):
            raise NotFound(
                f"image with reference {config.image} was found but does not provide the specified platform "
                f"({platform})",
                image=config.image,
            )
        if image.platform.os != "linux":
            raise Unsupported(f"cannot run {image.platform} images: only Linux ones run here", image=config.image)
        return image

    def _volume(self, point: MountPoint, host: HostConfig, id: str, undo: ExitStack) -> MountPoint:
        """Make the volume of a mount point that is one. Nobody removes it while the container is made."""
        if point.type != "volume":
            return point
        volumes = self._rooms.volumes
        spec = next((m for m in host.mounts if m.target == point.destination and m.type == "volume"), None)
        options = spec.volume_options if spec else None
        driver = options.driver_config if options else None
        chosen = (driver.name if driver else "") if spec else host.volume_driver
        if chosen not in ("", "local"):
            raise volumes.no_such_driver(point.name, chosen)
        try:
            volumes.promise(point.name, id)
        except LaminaError:
            labels, driver_opts = options.labels if options else {}, driver.options if driver else {}
            volume = volumes.create_promised(id, point.name or None, labels, driver_opts)
            if not point.name:
                undo.callback(volumes.remove, volume.name, force=True)
                undo.callback(volumes.settle, id)
            point = msgspec.structs.replace(point, name=volume.name)
        return msgspec.structs.replace(point, source=str(volumes.path(point.name)))

    def _warnings(self, host: HostConfig, image: Image, platform: Platform | None) -> tuple[str, ...]:
        warnings = []
        own = Platform.host()
        if platform is None and image.platform.architecture not in ("", own.architecture):
            warnings.append(
                f"The requested image's platform ({image.platform}) does not match the detected host platform "
                f"({own}) and no specific platform was requested"
            )
        if host.network_mode == "host" and host.port_bindings:
            warnings.append("Published ports are discarded when using host network mode")
        return tuple(warnings)


def _completed(config: Config, image: Image) -> Config:
    """Return the config with what it leaves open taken from the image.

    Raise InvalidInput where nothing is to be run, or the working directory is not absolute.
    """
    if config.working_dir.startswith("/"):
        config = msgspec.structs.replace(config, working_dir=os.path.normpath(f"/{config.working_dir.lstrip('/')}"))
    config = cast(Config, inherit(config, image.config.config))
    if config.entrypoint == ("",):
        config = msgspec.structs.replace(config, entrypoint=None)
    if not config.entrypoint and not config.cmd:
        raise InvalidInput("no command specified", image=config.image)
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidInput(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path")
    return config


def _with_defaults(host: HostConfig, defaults: Defaults, rooms: Rooms) -> HostConfig:
    log = host.log_config if host.log_config.type else _log(defaults.log, host.log_config.config)
    policy = host.restart_policy
    return msgspec.structs.replace(
        limit_checks.with_swap(host),
        network_mode="bridge" if host.network_mode in ("", "default") else host.network_mode,
        ipc_mode=host.ipc_mode or defaults.ipc_mode,
        masked_paths=MASKED_PATHS if host.masked_paths is None and not host.privileged else host.masked_paths,
        readonly_paths=READONLY_PATHS if host.readonly_paths is None and not host.privileged else host.readonly_paths,
        pids_limit=host.pids_limit if host.pids_limit and host.pids_limit > 0 else None,
        cgroupns_mode=host.cgroupns_mode
        or defaults.cgroupns_mode
        or ("private" if rooms.runtime.layout.v2 else "host"),
        shm_size=host.shm_size or defaults.shm_size,
        log_config=log,
        restart_policy=RestartPolicy(policy.name or "no", policy.maximum_retry_count),
        oom_kill_disable=bool(host.oom_kill_disable),
        runtime=host.runtime or rooms.runtime.program.name,
    )


def _log(default: LogConfig, options: Mapping[str, str]) -> LogConfig:
    """Return the engine's log driver with the options that were given without naming one."""
    return LogConfig(default.type, dict(options) or default.config)
