"""The mounts of a command: snapshots of its inputs, caches, secrets, agents, and the places where they go.

A place is made in a layer of its own below what the command changes, so that it never is a part of the result.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lamina.builder.build_run import SshAgents
from lamina.builder.graph.operations import Exec, Mount
from lamina.builder.ops.result import Result
from lamina.builder.run.mount_points import mountpoint_layer
from lamina.builder.run.mounts import StepMounts
from lamina.builder.run.seeded_caches import seeded_cache
from lamina.builder.run.step_files import StepFiles
from lamina.dockerfile.position import Problem
from lamina.layers.layer import Layer
from lamina.layers.tree import Node, Tree, find
from lamina.linux.user_namespaces import UserNamespace
from lamina.sandbox.spec import MountPoint
from lamina.snapshots.driver import Driver, Snapshot
from lamina.store.store import Store

_SHARED_MEMORY = "/dev/shm"
Inner = Sequence[tuple[str, bool]]  # places below a mount, and whether a file goes there
_SECRET_MODE, _AGENT_MODE, _CACHE_MODE = 0o400, 0o600, 0o755


@dataclass(slots=True)
class ExecMounts:
    """What a command has mounted. `snapshots` are by the number of their mount, the root's among them."""

    root: Path = Path()
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    points: StepMounts = field(default_factory=StepMounts)
    shared_memory: int = 0  # bytes


@dataclass(frozen=True, slots=True)
class ExecMounting:
    """Mounts what one command sees. `files` are its own; `secrets` and `agents` are the client's."""

    store: Store
    driver: Driver
    files: StepFiles
    secrets: Mapping[str, bytes]
    agents: SshAgents | None
    userns: UserNamespace | None = None

    def mount(self, id: str, operation: Exec, inputs: Sequence[Result]) -> ExecMounts:
        """Return all that is mounted, until the step's files are closed. Raise Problem for what cannot be had."""
        result = ExecMounts()
        mounts = [_absolute(mount, operation.directory) for mount in operation.mounts]
        held = [(mount, _holder(mount, mounts)) for mount in mounts]
        for number in sorted(range(len(mounts)), key=lambda number: mounts[number].target.rstrip("/").count("/")):
            mount = mounts[number]
            match mount.kind:
                case "bind":
                    key = f"{'build' if mount.target == '/' else 'bind'}-{id}-{number}"
                    inner = [_place_of(other, mount, inputs) for other, holder in held if holder is mount]
                    result.snapshots[number] = self._bind(key, mount, inner, inputs, result)
                case "cache":
                    result.points.bind(self._cache(mount, inputs), mount.target, read_only=mount.read_only)
                case "tmpfs" if mount.target == _SHARED_MEMORY and mount.size:
                    result.shared_memory = mount.size
                case "tmpfs":
                    size = (f"size={mount.size}",) if mount.size else ()
                    result.points.add(MountPoint("tmpfs", mount.target, options=("exec", *size)))
                case "secret":
                    self._secret(number, mount, result)
                case _:
                    self._agent(number, mount, result)
        for secret in operation.secrets:
            content = self._secret_content(secret.id, secret.optional)
            if content is not None:
                result.points.environment.append(f"{secret.name}={content.decode('utf-8', 'surrogateescape')}")
        return result

    def _bind(self, key: str, mount: Mount, inner: Inner, inputs: Sequence[Result], made: ExecMounts) -> Snapshot:
        """Mount files of an input, with the places for mounts inside them."""
        files = _input(mount, inputs)
        node = _selected(files.tree, mount)
        is_root = mount.target == "/"
        if is_root and node.path:
            raise Problem("the root of a command is a part of its files", "Mount all of them at /.")
        places = self._places(files.tree, node, inner, is_root=is_root)
        closing = self.files.closing
        layers = (*files.layers, *((places,) if places else ()))
        # Overlayfs shows nothing without a layer to show.
        writable = is_root or not mount.read_only or not layers
        snapshot = self.driver.prepare(key, layers, writable=writable, durable=False)
        closing.callback(self.driver.remove, key)
        root = snapshot.mount(self.userns)
        closing.callback(snapshot.unmount)
        if is_root:
            made.root = root
        else:
            source = root / node.path if node.path else root
            is_file = not node.is_directory
            made.points.bind(source, mount.target, read_only=mount.read_only, is_file=is_file, mapped=True)
        return snapshot

    def _places(self, tree: Tree, node: Node, inner: Inner, *, is_root: bool) -> Layer | None:
        prefix = f"{node.path}/" if node.path else ""
        directories = [prefix + path for path, is_file in inner if not is_file]
        files = [prefix + path for path, is_file in inner if is_file]
        if not is_root and not inner:
            return None
        return mountpoint_layer(self.store, tree, directories, files, is_root=is_root)

    def _cache(self, mount: Mount, inputs: Sequence[Result]) -> Path:
        """Return the cache's directory. A new one begins as the input's files are, or empty."""
        if mount.input is None:
            return self.files.cache(mount.id or mount.target, mount.sharing, (0, 0), _CACHE_MODE)
        files = _input(mount, inputs)
        node, name = _selected(files.tree, mount), mount.id or mount.target
        layers = files.layers  # they give loose files their name
        return seeded_cache(self.files, self.store, name, mount.sharing, files.tree, layers, node)

    def _secret_content(self, id: str, optional: bool) -> bytes | None:
        content = self.secrets.get(id)
        if content is None and not optional:
            raise Problem(f"secret {id}: not found", "Give it with --secret.")
        return content

    def _secret(self, number: int, mount: Mount, made: ExecMounts) -> None:
        content = self._secret_content(mount.id, mount.optional)
        if content is not None:
            path = self.files.file(f"secret-{number}", content, mount.mode or _SECRET_MODE, mount.uid, mount.gid)
            made.points.bind(path, mount.target, read_only=True, is_file=True)

    def _agent(self, number: int, mount: Mount, made: ExecMounts) -> None:
        id = mount.id or "default"
        if self.agents is None or not self.agents.offers(id):
            if mount.optional:
                return
            raise Problem(f"no SSH key {id!r} forwarded from the client", "Give it with --ssh.")
        mode = mount.mode or _AGENT_MODE
        path = self.files.agent(self.agents, id, f"ssh-{number}", mode, mount.uid, mount.gid)
        made.points.bind(path, mount.target, is_file=True)


def _absolute(mount: Mount, directory: str) -> Mount:
    target = posixpath.normpath(posixpath.join("/", directory, mount.target))
    return msgspec.structs.replace(mount, target=target if target != "//" else "/")


def _holder(mount: Mount, mounts: Sequence[Mount]) -> Mount | None:
    """Return the bind in whose files the place of a mount has to be: the innermost one around it."""
    around = [
        other
        for other in mounts
        if other is not mount
        and other.kind in ("bind", "cache", "tmpfs")
        and mount.target.startswith("/" if other.target == "/" else f"{other.target}/")
    ]
    return max(around, key=lambda other: len(other.target), default=None)


def _place_of(mount: Mount, holder: Mount, inputs: Sequence[Result]) -> tuple[str, bool]:
    """Return the path of a mount below its holder's target, and whether a file is mounted there."""
    path = mount.target.removeprefix(holder.target).lstrip("/")
    if mount.kind == "bind":
        return path, not _selected(_input(mount, inputs).tree, mount).is_directory
    return path, mount.kind in ("secret", "ssh")


def _input(mount: Mount, inputs: Sequence[Result]) -> Result:
    return Result() if mount.input is None else inputs[mount.input]


def _selected(tree: Tree, mount: Mount) -> Node:
    node = find(tree, mount.selector)
    if node is None:
        raise Problem(f"failed to calculate checksum of {mount.selector!r}: not found", "It is no path of the files.")
    return node
