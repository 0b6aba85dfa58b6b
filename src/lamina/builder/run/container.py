"""Running a step's command: a snapshot of the image, a container on it, and the layer of what changed.

No container record is made: the container lives only as long as its step. What a crash leaves, `leftovers.sweep` and
the sweeps of snapshots and networks take away (keys begin with `build-`, `bind-` or `volumes-`; sandboxes are named by
container ID).
"""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from lamina.api.containers import Config, HostConfig
from lamina.builder.build_run import RunRequest, Work
from lamina.builder.console import short
from lamina.builder.run.binds import Binds, MountMaker
from lamina.builder.run.leftovers import PREFIX
from lamina.builder.run.mountpoints import MountPoints, mountpoint_layer
from lamina.builder.run.output import follow, hang_up
from lamina.builder.stage import StageState
from lamina.builder.steps import image_for
from lamina.errors import CommandFailed
from lamina.layers.layer import Layer
from lamina.layers.tree import entry_at, resolve
from lamina.runtime.cgroups.layout import abilities
from lamina.sandbox import limit_checks
from lamina.sandbox.sandboxes import Sandboxes, SandboxRooms, ensure_directory
from lamina.sandbox.spec import Defaults, MountPoint, SandboxSpec
from lamina.snapshots.driver import Driver, Snapshot

_DEFAULT_NETWORK = "bridge"


@dataclass(frozen=True, slots=True)
class ContainerRunner:
    """Runs commands in sandboxes. `folder` holds short-lived files, `caches` those of cache mounts. Thread-safe.

    `defaults` are the engine's, as for every container.
    """

    driver: Driver
    rooms: SandboxRooms
    defaults: Defaults
    folder: Path
    caches: Path

    @property
    def sandboxes(self) -> Sandboxes:
        return Sandboxes(self.rooms, self.defaults)

    def run(self, work: Work, state: StageState, request: RunRequest) -> Layer | None:
        """See CommandRunner. Raises also Problem for mounts and users that are not there, Cancelled."""
        with ExitStack() as closing:
            folder = self.folder / f"{PREFIX}{request.container_id}"
            folder.mkdir(parents=True, mode=0o700)
            closing.callback(shutil.rmtree, folder, ignore_errors=True)
            maker = MountMaker(work, state, self.driver, image_for, folder, self.caches, closing)
            binds = maker.make(request.mounts, request.files)
            snapshot = self._snapshot(work, state, request, binds, closing)
            root = snapshot.mount()
            closing.callback(snapshot.unmount)
            volumes = self._volumes(state, request, root, binds, closing)
            request = replace(request, environment=(*request.environment, *binds.environment))
            self._run_task(work, self._spec(work, state, request, (*volumes, *binds.mounts), folder), root)
            return self._changes(work, state, snapshot)

    def _snapshot(
        self, work: Work, state: StageState, request: RunRequest, binds: Binds, closing: ExitStack
    ) -> Snapshot:
        points = self._mount_points(work, state, binds)
        layers = (*(state.image.layers if state.image else ()), *((points,) if points else ()))
        key = f"build-{request.container_id}"
        snapshot = self.driver.prepare(key, layers, durable=False)
        closing.callback(self.driver.remove, key)
        return snapshot

    def _mount_points(self, work: Work, state: StageState, binds: Binds) -> Layer | None:
        below = state.files.tree
        plain = state.image is not None and not binds.mounts
        for known in work.mount_points:
            if plain and state.image is not None and known.fits(state.image, below):
                return known.layer
        layer = mountpoint_layer(work.rooms.store, below, binds.directories, binds.files)
        if plain and state.image is not None:
            work.mount_points = [MountPoints(state.image.config.diff_ids, layer)]
        return layer

    def _spec(
        self, work: Work, state: StageState, request: RunRequest, mounts: Sequence[MountPoint], folder: Path
    ) -> SandboxSpec:
        """Return the sandbox of a step. The steps of one build share a network namespace."""
        name = short(request.container_id)
        network = _DEFAULT_NETWORK if request.network in ("", "default") else request.network
        config = Config(
            hostname=name,
            user=state.config.user,
            env=request.environment,
            working_dir=posixpath.normpath(state.config.working_dir or "/"),
            cmd=request.arguments,
        )
        return SandboxSpec(
            id=request.container_id,
            folder=folder,
            config=config,
            host=self._host_config(work, network),
            mounts=tuple(mounts),
            network_id="" if network in ("host", "none") else self._network_id(work, network, request.container_id),
        )

    def _host_config(self, work: Work, network: str) -> HostConfig:
        """Return what `create` would make of the build's limits. Raise InvalidInput for those that cannot be."""
        options = work.options
        asked = HostConfig(
            **msgspec.structs.asdict(options.limits),
            network_mode=network,
            extra_hosts=options.extra_hosts,
            shm_size=options.shm_size,
            security_opt=options.security_opt,
            init=False,
        )
        host = limit_checks.with_swap(asked)
        limit_checks.check(host)
        host, warnings = limit_checks.within(host, abilities(self.rooms.runtime.layout))
        for warning in warnings:
            work.console.line(f" ---> [Warning] {warning}")
        return host

    def _network_id(self, work: Work, network: str, container_id: str) -> str:
        """Return the ID under which the build is in a network: joining it takes as long as running a step."""
        if network not in work.networks:
            networks = self.rooms.networks
            work.closing.callback(networks.leave, container_id)
            networks.join(container_id, network)
            work.networks[network] = container_id
        return work.networks[network]

    def _run_task(self, work: Work, spec: SandboxSpec, root: Path) -> None:
        task = self.sandboxes.create_task(spec)
        try:
            with task.attach(stdin=False) as output:
                self.sandboxes.start(spec, lambda: (task, root))
                with work.cancellation.on_cancel(partial(hang_up, output)):
                    follow(output, work.console.text)
                work.cancellation.check()
            status = task.wait()
        finally:
            if task.pid:
                task.kill()
                task.wait()
            self.sandboxes.release(spec, task)
        if status is not None and status.code != 0:
            raise CommandFailed("out of memory" if status.oom_killed else "", exit_code=status.code)

    def _volumes(
        self, state: StageState, request: RunRequest, root: Path, binds: Binds, closing: ExitStack
    ) -> tuple[MountPoint, ...]:
        """Return the mounts of the image's volumes.

        What the step writes into them is lost: they lie on a second snapshot that is thrown away.
        """
        taken = {mount.destination for mount in binds.mounts}
        paths = [path for path in sorted(state.config.volumes) if posixpath.normpath(path) not in taken]
        if not paths:
            return ()
        key = f"volumes-{request.container_id}"
        snapshot = self.driver.prepare(key, state.image.layers if state.image else (), durable=False)
        closing.callback(self.driver.remove, key)
        aside = snapshot.mount()
        closing.callback(snapshot.unmount)
        points: list[MountPoint] = []
        for path in paths:
            inside = _resolved(state, path)
            node = state.files.tree.lookup(inside)
            if inside and (node is None or node.is_directory):
                ensure_directory(root, inside)
                ensure_directory(aside, inside)
                points.append(MountPoint("bind", f"/{inside}", source=str(aside / inside)))
        return tuple(points)

    def _changes(self, work: Work, state: StageState, snapshot: Snapshot) -> Layer | None:
        """The layer of what the command left. With SOURCE_DATE_EPOCH no time in it is later."""
        fill = partial(snapshot.write_diff, latest_ns=state.args.epoch_ns)
        return work.rooms.store.layers.write(fill, work.cancellation)


def _resolved(state: StageState, path: str) -> str:
    """`path` in the stage's files, free of symlinks."""
    tree = state.files.tree
    return resolve(lambda place: entry_at(tree, place), path)
