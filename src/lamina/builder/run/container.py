"""Running a step's command: a snapshot of the image, a container on it, and the layer of what changed.

No container record is made: the container lives only as long as its step. `sweep` and the sweeps of snapshots and
networks remove what a crash leaves. Snapshots have keys that begin with `build-` or `bind-`, and network namespaces
have the ID of a container.
"""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from lamina.api.containers import Config, DeviceRequest, HostConfig
from lamina.builder.build_run import BuildRun, RunRequest
from lamina.builder.console import short
from lamina.builder.run.command import OutputTail, StepTask, check_ended_well
from lamina.builder.run.mount_points import MountPoints, mountpoint_layer
from lamina.builder.run.mounts import MountMaker, StepMounts
from lamina.builder.run.privileges import allowed_devices
from lamina.builder.stage import StageState
from lamina.builder.stage_images import image_for
from lamina.dockerfile.instructions import Run
from lamina.errors import CommandFailed, LaminaError
from lamina.layers.layer import Layer
from lamina.runtime.cgroups.layout import abilities
from lamina.runtime.runtime import Runtime
from lamina.sandbox import limit_checks
from lamina.sandbox.cdi import DRIVER
from lamina.sandbox.sandboxes import Sandboxes, SandboxRooms
from lamina.sandbox.spec import Defaults, MountPoint, SandboxSpec
from lamina.snapshots.driver import Driver, Snapshot
from lamina.snapshots.records import delete_tree

_PREFIX = "build-"  # of a step's folder, in front of its container's ID
_KILL_SECONDS = 10.0  # for a killed container to end
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

    def run(self, work: BuildRun, state: StageState, request: RunRequest) -> Layer | None:
        """Run a step. Beyond what CommandRunner says, raise Problem, InvalidInput for a bad request, and Cancelled."""
        with ExitStack() as held:
            folder, helper = self._folder(request.container_id), work.helper
            task = helper.take(request.container_id, held)
            if task is None:
                _make_folder(folder, held)
            maker = MountMaker(work, state, self.driver, image_for, folder, self.caches, held, self.defaults.userns)
            mounts = maker.make(request.mounts, request.files)
            snapshot = self._snapshot(work, state, request, mounts, held)
            root = snapshot.mount(self.defaults.userns)
            held.callback(snapshot.unmount)
            request = replace(request, environment=(*request.environment, *mounts.environment))
            devices = allowed_devices(request.devices, work.request.allow, self.defaults.cdi_folders)
            host = self._host_config(work, request, devices)
            spec = self._spec(work, state, request, mounts.mounts, folder, host)
            task = task or StepTask(self.sandboxes, spec)
            held.callback(task.close)
            layer = self._run(work, state, task, spec, snapshot, root)
            if not request.mounts:  # a cache is for the next step, and secrets go at once
                helper.give_back(held.pop_all(), work.closing)
            return layer

    def _run(
        self, work: BuildRun, state: StageState, task: StepTask, spec: SandboxSpec, snapshot: Snapshot, root: Path
    ) -> Layer | None:
        """Run the command, and return the layer of what it changed."""
        tail = OutputTail(work.console.text)
        status = task.run(spec, root, tail.show, work.cancellation, partial(self._make_next_ready, work, spec))
        try:
            check_ended_well(status, output=tail)
        except CommandFailed as error:
            if work.request.keep_failed:
                error.facts["layer"] = self._changes(work, state, snapshot)
            raise
        return self._changes(work, state, snapshot)

    def _make_next_ready(self, work: BuildRun, spec: SandboxSpec) -> None:
        """Have the task of the stage's next RUN made. The next one most likely runs, because this one does."""
        rest = work.file.stages[work.stage].instructions[work.current.place.number :]
        if any(isinstance(each, Run) for each in rest):
            work.helper.make_ready(lambda id: partial(self._ready_task, id, spec), work.closing)

    def _ready_task(self, id: str, before: SandboxSpec, held: ExitStack) -> StepTask:
        """Return a task in the cgroup of the step `before`. The rest is known when its own step begins."""
        folder = self._folder(id)
        _make_folder(folder, held)
        alone = msgspec.structs.replace(before.host, network_mode="none")
        task = StepTask(self.sandboxes, replace(before, id=id, folder=folder, host=alone, mounts=(), network_id=""))
        held.callback(task.close)
        return task

    def _folder(self, container_id: str) -> Path:
        return self.folder / f"{_PREFIX}{container_id}"

    def _snapshot(
        self, work: BuildRun, state: StageState, request: RunRequest, mounts: StepMounts, held: ExitStack
    ) -> Snapshot:
        points = self._mount_points(work, state, mounts)
        layers = (*(state.image.layers if state.image else ()), *((points,) if points else ()))
        key = f"build-{request.container_id}"
        snapshot = self.driver.prepare(key, layers, durable=False)
        held.callback(self.driver.remove, key)
        return snapshot

    def _mount_points(self, work: BuildRun, state: StageState, mounts: StepMounts) -> Layer | None:
        below = state.files.tree
        plain = state.image is not None and not mounts.mounts
        for earlier in work.mount_points:
            if plain and state.image is not None and earlier.fits(state.image, below):
                return earlier.layer
        layer = mountpoint_layer(work.rooms.store, below, mounts.directories, mounts.files)
        if plain and state.image is not None:
            work.mount_points = [MountPoints(state.image.config.diff_ids, layer)]
        return layer

    def _spec(
        self,
        work: BuildRun,
        state: StageState,
        request: RunRequest,
        mounts: Sequence[MountPoint],
        folder: Path,
        host: HostConfig,
    ) -> SandboxSpec:
        """Return the sandbox of a step. The steps of one build share a network namespace."""
        name, network = work.host_name or short(request.container_id), host.network_mode
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
            host=host,
            mounts=tuple(mounts),
            userns=self.defaults.userns,
            network_id="" if network in ("host", "none") else self._network_id(work, network, request.container_id),
        )

    def _host_config(self, work: BuildRun, request: RunRequest, devices: tuple[str, ...]) -> HostConfig:
        """Return what `create` would make of the build's limits. Raise InvalidInput for impossible limits."""
        build = work.request
        limits = msgspec.structs.asdict(build.limits)
        if devices:
            limits["device_requests"] = (DeviceRequest(DRIVER, device_ids=devices),)
        host_config = HostConfig(
            **limits,
            network_mode=_DEFAULT_NETWORK if request.network in ("", "default") else request.network,
            privileged=request.insecure,
            extra_hosts=build.extra_hosts,
            shm_size=build.shm_size,
            security_opt=build.security_options,
            init=False,
        )
        return self.fitting(host_config, lambda warning: work.console.line(f" ---> [Warning] {warning}"))

    def fitting(self, host_config: HostConfig, warn: Callable[[str], None]) -> HostConfig:
        """Return the limits that this host can keep. Raise InvalidInput for impossible ones."""
        host = limit_checks.with_swap(host_config)
        limit_checks.check(host)
        host, warnings = limit_checks.within(host, abilities(self.rooms.runtime.layout))
        for warning in warnings:
            warn(warning)
        return host

    def _network_id(self, work: BuildRun, network: str, container_id: str) -> str:
        """Return the ID of the namespace in which all steps share a network: joining takes as long as a step."""
        if network not in work.networks:
            networks = self.rooms.networks
            work.closing.callback(networks.leave, container_id)
            networks.sandbox(container_id, self.defaults.userns)
            networks.join(container_id, network)
            work.networks[network] = container_id
        return work.networks[network]

    def _changes(self, work: BuildRun, state: StageState, snapshot: Snapshot) -> Layer | None:
        """Return the layer of what the command changed. With SOURCE_DATE_EPOCH no time in it is later."""
        fill = partial(snapshot.write_diff, latest_ns=state.args.epoch_ns)
        return work.rooms.store.layers.write(fill, work.cancellation)


def _make_folder(folder: Path, held: ExitStack) -> None:
    folder.mkdir(parents=True, mode=0o700)
    held.callback(shutil.rmtree, folder, ignore_errors=True)


def sweep_files(folder: Path) -> None:
    """Remove what builds left in `folder`, such as clones of repositories. The folders of steps stay for `sweep`."""
    for path in folder.iterdir():
        if not path.name.startswith(_PREFIX):
            delete_tree(path)


def sweep(runtime: Runtime, folder: Path) -> None:
    """End the containers of steps that have a folder in `folder`, and remove those folders.

    An engine calls this at its start, before it sweeps snapshots and networks.
    """
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(LaminaError):  # one that cannot be ended must not keep the others
            task = runtime.recover(path.name.removeprefix(_PREFIX))
            if task.pid:
                task.kill(all=True)
                task.wait(_KILL_SECONDS)
            task.delete()
        shutil.rmtree(path, ignore_errors=True)
