"""`RUN --mount`: what is mounted for one step, and how it is made ready.

Rule: Dockerfile reference, "RUN --mount". A bind from a context becomes a layer that is mounted in place like any
other; from an image it is a snapshot of that image. Writes to it are lost.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lamina.builder.build_run import BuildRun
from lamina.builder.layer_plan import LayerPlan, PlannedFile, write_files
from lamina.builder.run.seeded_caches import seeded_cache
from lamina.builder.run.step_files import StepFiles
from lamina.builder.stage import StageState
from lamina.dockerfile.mounts import MountFlag, agent_id, secret_id
from lamina.dockerfile.position import Problem
from lamina.images.image import Image
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer import Layer
from lamina.layers.tree import MemoryTree, Node, Tree, find, walk
from lamina.linux.user_namespaces import UserNamespace
from lamina.sandbox.spec import MountPoint
from lamina.snapshots.driver import Driver

_SECRET_MODE = 0o400
_CACHE_MODE = 0o755
_AGENT_MODE = 0o600


@dataclass(slots=True)
class StepMounts:
    """The mounts of one step. What they need is given back when `closing` closes."""

    mounts: list[MountPoint] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)  # mount points to make, relative to the root
    files: list[str] = field(default_factory=list)

    def bind(
        self,
        source: str | Path,
        target: str,
        *,
        read_only: bool = False,
        is_file: bool = False,
        mapped: bool = False,
    ) -> None:
        """Bind a path of the host. Its owners are those of the container, and are `mapped` to the host's or not yet."""
        point = MountPoint("bind", target, source=str(source), rw=not read_only, read_only_non_recursive=read_only)
        self.add(msgspec.structs.replace(point, idmapped=not mapped), is_file=is_file)

    def add(self, mount: MountPoint, *, is_file: bool = False) -> None:
        """Have `mount` in the container, on a mount point of its kind."""
        self.mounts.append(mount)
        (self.files if is_file else self.directories).append(mount.destination.lstrip("/"))


@dataclass(frozen=True, slots=True)
class MountMaker:
    """Make the mounts of one step ready. `folder` is the step's own, `caches` outlives builds."""

    work: BuildRun
    state: StageState
    driver: Driver
    image_for: Callable[[BuildRun, str], Image | None]
    folder: Path
    caches: Path
    closing: ExitStack
    userns: UserNamespace | None = None

    def make(self, flags: tuple[MountFlag, ...], files: tuple[tuple[str, bytes], ...]) -> StepMounts:
        """Return all mounts of a step. Raise Problem for what cannot be had."""
        mounts = StepMounts()
        for number, flag in enumerate(flags):
            target = self._target(flag, number)
            match flag.type:
                case "tmpfs":
                    size = (f"size={flag.size}",) if flag.size else ()
                    mounts.add(MountPoint("tmpfs", target, options=("exec", *size)))
                case "cache":
                    mounts.bind(self._cache(flag, target), target, read_only=flag.readonly)
                case "secret":
                    self._secret(flag, mounts, number)
                case "ssh":
                    self._ssh(flag, target, mounts, number)
                case _:
                    self._bind(flag, target, mounts, number)
        for number, (path, content) in enumerate(files):
            mounts.bind(self._files.file(f"script-{number}", content, 0o755, 0, 0), path, read_only=True, is_file=True)
        return mounts

    def _target(self, flag: MountFlag, number: int) -> str:
        if not flag.target:
            if flag.type == "secret":
                return f"/run/secrets/{secret_id(flag)}"
            if flag.type == "ssh":
                return f"/run/buildkit/ssh_agent.{number}"
            raise Problem(f"RUN --mount=type={flag.type} needs a target", "Write target=/path.")
        return posixpath.normpath(posixpath.join("/", self.state.config.working_dir, flag.target))

    @property
    def _files(self) -> StepFiles:
        return StepFiles(self.folder, self.caches, self.closing)

    def _secret(self, flag: MountFlag, mounts: StepMounts, number: int) -> None:
        content = self.work.secrets.get(secret_id(flag))
        if content is None:
            return
        if flag.env is not None:
            name = flag.env or secret_id(flag)
            mounts.environment.append(f"{name}={content.decode('utf-8', 'surrogateescape')}")
        if flag.env is None or flag.target:
            mode = _SECRET_MODE if flag.mode is None else flag.mode
            path = self._files.file(f"secret-{number}", content, mode, flag.uid or 0, flag.gid or 0)
            mounts.bind(path, self._target(flag, number), read_only=True, is_file=True)

    def _ssh(self, flag: MountFlag, target: str, mounts: StepMounts, number: int) -> None:
        """Forward a socket to the user's ssh agent."""
        agents = self.work.agents
        if agents is None or not agents.offers(agent_id(flag)):
            return
        mode = _AGENT_MODE if flag.mode is None else flag.mode
        path = self._files.agent(agents, agent_id(flag), f"ssh-{number}", mode, flag.uid or 0, flag.gid or 0)
        mounts.bind(path, target, is_file=True)
        mounts.environment.append(f"SSH_AUTH_SOCK={target}")

    def _cache(self, flag: MountFlag, target: str) -> Path:
        if flag.source_image:
            image = self.image_for(self.work, flag.source_image)
            tree, layers = self.work.files_of(image).tree, image.layers if image else ()
            source = _existing(tree, flag)
            return seeded_cache(
                self._files, self.work.rooms.store, flag.id or target, flag.sharing, tree, layers, source
            )
        mode = _CACHE_MODE if flag.mode is None else flag.mode
        owner = (flag.uid or 0, flag.gid or 0)
        return self._files.cache(flag.id or target, flag.sharing, owner, mode)

    def _bind(self, flag: MountFlag, target: str, mounts: StepMounts, number: int) -> None:
        if flag.source_image:
            image = self.image_for(self.work, flag.source_image)
            layers: tuple[Layer, ...] = image.layers if image else ()
            tree: Tree = self.work.files_of(image).tree
        else:
            layers, tree = self._context_layers(flag)
        node = _existing(tree, flag)
        key = f"bind-{self.folder.name}-{number}"
        snapshot = self.driver.prepare(key, layers, writable=not flag.readonly, durable=False)
        self.closing.callback(self.driver.remove, key)
        root = snapshot.mount(self.userns)
        self.closing.callback(snapshot.unmount)
        source = root / node.path if node.path else root
        mounts.bind(source, target, read_only=flag.readonly, is_file=not node.is_directory, mapped=True)

    def _context_layers(self, flag: MountFlag) -> tuple[tuple[Layer, ...], Tree]:
        """Return the part of the context that a bind shows as a layer, and the whole context."""
        tree = self.work.context.tree
        if tree is None:
            raise Problem("no build context to mount", "Give a folder instead of a Dockerfile alone.")
        top = find(tree, flag.source)
        plan = LayerPlan(MemoryTree())
        for node in walk(tree, top.path) if top is not None else ():
            if node.path:
                plan.make_directories(posixpath.dirname(node.path))
                plan.put(PlannedFile(node.entry, tree, node))
        if not len(plan):
            plan.put(PlannedFile(Entry(".empty", EntryType.DIRECTORY, 0o755)))
        layer = self.work.rooms.store.layers.write(lambda builder: write_files(builder, plan.members(0)))
        return ((layer,) if layer else ()), tree


def _existing(tree: Tree, flag: MountFlag) -> Node:
    """Return the file or folder that a mount shows. Raise Problem where it is missing."""
    node = find(tree, flag.source)
    if node is None:
        raise Problem(f"{flag.source!r} not found for RUN --mount", "Sources are looked up below the root.")
    return node
