"""Running a step's command: a snapshot of the image, a container on it, and the layer of what changed.

No container record is made: the container lives only as long as its step. What a crash leaves, `leftovers.sweep` and
the sweeps of snapshots and networks take away (keys begin with `build-`, `bind-` or `volumes-`; sandboxes are named by
container ID).
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lamina.builder.build_run import RunRequest, Work
from lamina.builder.console import short
from lamina.builder.run.binds import Binds, MountMaker
from lamina.builder.run.leftovers import PREFIX
from lamina.builder.run.mountpoints import MountPoints, mountpoint_layer
from lamina.builder.run.output import follow, hang_up
from lamina.builder.stage import StageState
from lamina.builder.steps import image_for
from lamina.dockerfile.position import Problem
from lamina.errors import CommandFailed
from lamina.images.config_changes import environment
from lamina.layers.entry import EntryType
from lamina.layers.layer import Layer
from lamina.layers.tree import Tree, entry_at, find, read_all, resolve
from lamina.linux.files import write_for_containers
from lamina.linux.paths import RESOLVE_IN_ROOT, openat2
from lamina.network.files import hostname, hosts, resolv_conf
from lamina.network.networks import Networks
from lamina.runtime import security, users
from lamina.runtime.runtime import Runtime
from lamina.runtime.spec import AnyMount, BindMount, ContainerSpec, Namespaces, ProcessSpec
from lamina.runtime.task import Task
from lamina.snapshots.driver import Driver, Snapshot

_MAX_ACCOUNTS = 4 << 20  # bytes of passwd or group that are looked at
_DEFAULT_NETWORKS = ("", "default", "bridge")


@dataclass(frozen=True, slots=True)
class ContainerRunner:
    """Runs commands with the engine's own rooms. `folder` holds short-lived files, `caches` those of cache mounts.

    Thread-safe. `networks` is asked for when a step wants one; None leaves every step without a network.
    """

    driver: Driver
    runtime: Runtime
    networks: Callable[[], Networks] | None
    folder: Path
    caches: Path
    host_resolv_conf: Path = Path("/etc/resolv.conf")

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
            self._execute(work, state, request, binds, root, folder, closing)
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

    def _execute(
        self,
        work: Work,
        state: StageState,
        request: RunRequest,
        binds: Binds,
        root: Path,
        folder: Path,
        closing: ExitStack,
    ) -> None:
        workdir = _workdir(state, root)
        options = security.parse(work.options.security_opt)
        volumes = self._volumes(state, request, root, binds, closing)
        spec = ContainerSpec(
            process=self._process(work, state, request, binds, workdir),
            hostname=short(request.container_id),
            mounts=(*self._files(work, request, folder), *volumes, *binds.mounts),
            namespaces=Namespaces(network=self._network(work, request)),
            resources=work.options.resources,
            cgroup_parent=work.options.cgroup_parent or "/lamina",
            shm_size=work.options.shm_size or 64 << 20,
            seccomp=options.seccomp,
            writable_cgroups=options.writable_cgroups,
        )
        task = self.runtime.create(request.container_id, spec, root)
        try:
            self._await(work, task)
        finally:
            if task.pid:
                task.kill()
                task.wait()
            task.delete()

    def _await(self, work: Work, task: Task) -> None:
        with task.attach(stdin=False) as output:
            task.start()
            with work.cancellation.on_cancel(partial(hang_up, output)):
                follow(output, work.console.text)
            work.cancellation.check()
        status = task.wait()
        if status is not None and status.code != 0:
            raise CommandFailed("out of memory" if status.oom_killed else "", exit_code=status.code)

    def _process(self, work: Work, state: StageState, request: RunRequest, binds: Binds, workdir: str) -> ProcessSpec:
        below = state.files.tree
        account = users.resolve(state.config.user, _content(below, "etc/passwd"), _content(below, "etc/group"))
        options = security.parse(work.options.security_opt)
        given = environment(state.config)
        env = [f"HOSTNAME={short(request.container_id)}", *request.environment, *binds.environment]
        if "HOME" not in given and not any(entry.startswith("HOME=") for entry in request.environment):
            env.append(f"HOME={account.home}")
        return ProcessSpec(
            args=request.arguments,
            env=tuple(env),
            cwd=workdir,
            user=account.user,
            rlimits=work.options.rlimits,
            no_new_privileges=options.no_new_privileges,
            apparmor=options.apparmor,
        )

    def _network(self, work: Work, request: RunRequest) -> str:
        """What the runtime is told: "host", "private" (loopback only), or the path of a namespace.

        The steps of one build share a namespace: joining a network takes as long as running a step.
        """
        if request.network == "host":
            return "host"
        if request.network == "none" or self.networks is None:
            return "private"
        name = "bridge" if request.network in _DEFAULT_NETWORKS else request.network
        if name not in work.networks:
            networks = self.networks()
            work.closing.callback(networks.leave, request.container_id)
            networks.join(request.container_id, name)
            work.networks[name] = str(networks.sandbox(request.container_id))
        return work.networks[name]

    def _volumes(
        self, state: StageState, request: RunRequest, root: Path, binds: Binds, closing: ExitStack
    ) -> tuple[AnyMount, ...]:
        """What the step writes into the image's volumes is lost: they lie on a second snapshot that is thrown away."""
        taken = {mount.destination for mount in binds.mounts}
        paths = [path for path in sorted(state.config.volumes) if posixpath.normpath(path) not in taken]
        if not paths:
            return ()
        key = f"volumes-{request.container_id}"
        snapshot = self.driver.prepare(key, state.image.layers if state.image else (), durable=False)
        closing.callback(self.driver.remove, key)
        aside = snapshot.mount()
        closing.callback(snapshot.unmount)
        mounts: list[AnyMount] = []
        for path in paths:
            inside = _resolved(state, path)
            node = state.files.tree.lookup(inside)
            if inside and (node is None or node.is_directory):
                _make_inside(root, inside)
                _make_inside(aside, inside)
                mounts.append(BindMount(str(aside / inside), f"/{inside}"))
        return tuple(mounts)

    def _files(self, work: Work, request: RunRequest, folder: Path) -> tuple[AnyMount, ...]:
        try:
            servers = self.host_resolv_conf.read_text(errors="replace")
        except OSError:
            servers = ""
        name = short(request.container_id)
        texts = {
            "resolv.conf": resolv_conf(servers, keep_local=request.network == "host"),
            "hosts": hosts(extra=work.options.extra_hosts),
            "hostname": hostname(name),
        }
        for file, text in texts.items():
            write_for_containers(folder / file, text)
        return tuple(BindMount(str(folder / file), f"/etc/{file}") for file in texts)

    def _changes(self, work: Work, state: StageState, snapshot: Snapshot) -> Layer | None:
        """The layer of what the command left. With SOURCE_DATE_EPOCH no time in it is later."""
        fill = partial(snapshot.write_diff, latest_ns=state.args.epoch_ns)
        return work.rooms.store.layers.write(fill, work.cancellation)


def _content(tree: Tree, path: str) -> bytes:
    node = find(tree, path)
    return read_all(tree, node, _MAX_ACCOUNTS) if node is not None and node.entry.type is EntryType.REGULAR else b""


def _workdir(state: StageState, root: Path) -> str:
    """The working directory; made, as dockerd makes it, where the image lacks it."""
    wanted = posixpath.normpath(state.config.working_dir or "/")
    path = _resolved(state, wanted)
    node = state.files.tree.lookup(path)
    if node is not None and not node.is_directory:
        raise Problem(f"the working directory {wanted} is not a directory", "Set another with WORKDIR.")
    if node is None:
        _make_inside(root, path)
    return wanted


def _resolved(state: StageState, path: str) -> str:
    """`path` in the stage's files, free of symlinks."""
    tree = state.files.tree
    return resolve(lambda place: entry_at(tree, place), path)


def _make_inside(root: Path, path: str) -> None:
    """`mkdir -p` below a mounted root in which nothing runs yet; `path` is free of symlinks."""
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        parent = ""
        for name in path.split("/"):
            fd = openat2(root_fd, parent or "/", os.O_RDONLY | os.O_DIRECTORY, resolve=RESOLVE_IN_ROOT)
            try:
                os.mkdir(name, 0o755, dir_fd=fd)
                os.chmod(name, 0o755, dir_fd=fd)  # whatever the umask
            except FileExistsError:
                pass
            finally:
                os.close(fd)
            parent = f"{parent}/{name}"
    finally:
        os.close(root_fd)
