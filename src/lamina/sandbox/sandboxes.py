"""The recipe of a sandbox: from a spec and a mounted root to a running task, and back to nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from lamina.errors import InvalidInput, LaminaError, Unsupported
from lamina.layers.parents import Parents
from lamina.linux.processes import making_files_of
from lamina.network.model import Endpoint
from lamina.network.networks import Networks
from lamina.progress import ignore
from lamina.runtime.monitor.protocol import LogSpec
from lamina.runtime.process import OnExit
from lamina.runtime.runtime import Runtime
from lamina.runtime.task import Task
from lamina.sandbox import etc_files, mounts
from lamina.sandbox.runtime_spec import container_spec, outline
from lamina.sandbox.spec import Defaults, SandboxSpec
from lamina.volumes.volumes import Volumes


class SandboxRooms(Protocol):
    """The rooms that a sandbox is made with. They may open when first asked for."""

    @property
    def volumes(self) -> Volumes: ...
    @property
    def networks(self) -> Networks: ...
    @property
    def runtime(self) -> Runtime: ...


class Sandboxes:
    """Starts sandboxes and gives back what they held. Thread-safe; one sandbox is started by one thread at a time.

    `defaults` apply where a spec leaves something open.
    """

    def __init__(self, rooms: SandboxRooms, defaults: Defaults) -> None:
        self._rooms = rooms
        self.defaults = defaults

    def create_task(
        self,
        spec: SandboxSpec,
        log: LogSpec | None = None,
        on_exit: OnExit = ignore,
        on_oom: Callable[[], None] = ignore,
    ) -> Task:
        """Return the sandbox's task with its monitor. Clients may attach to it; nothing runs yet.

        Raise what `Runtime.create` raises.
        """
        return self._rooms.runtime.create(
            spec.id,
            outline(spec, self.defaults),
            None,
            log,
            on_exit,
            on_oom=on_oom,
            stdin=spec.config.open_stdin,
            stdin_once=spec.config.stdin_once,
        )

    def start(self, spec: SandboxSpec, prepare: Callable[[], tuple[Task, Path]]) -> int:
        """Start the sandbox's process, and return its ID on the host. After a failure the caller calls `release`.

        `prepare` returns the task and its mounted root; it runs while the networks are being joined.
        """
        _check_users(spec)
        mounts.clear_staged(spec.folder)  # what an engine that died in the middle of a start left
        network = self._network_namespace(spec)  # made before two threads ask for it
        with ThreadPoolExecutor(1, "lamina-join") as helper:
            joining = helper.submit(self._join, spec) if spec.networks else None
            task, root = prepare()
            prepared = container_spec(spec, root, network, self._rooms.volumes, self.defaults)
            with making_files_of(spec.userns.ids.root if spec.userns else None):
                _make_working_directory(spec, root)
            task.configure(prepared, root)
            endpoints = self._join(spec) if joining is None else joining.result()
        if "network" not in spec.donors:
            gateways = partial(self._host_gateways, spec)
            etc_files.write_files(spec, endpoints, self.defaults, gateways)
        pid = task.start()
        mounts.clear_staged(spec.folder)
        return pid

    def release(self, spec: SandboxSpec, task: Task | None) -> None:
        """Give back all that an ended or never started sandbox held, except its root. A second call does nothing."""
        if task is not None:
            with suppress(LaminaError):  # its monitor may be gone; the rest is to be given back all the same
                task.delete()
        if spec.has_networks and not spec.network_id:
            with suppress(Unsupported):  # without privilege it never joined one
                self._rooms.networks.leave(spec.id)
        mounts.clear_staged(spec.folder)
        for point in spec.mounts:
            if point.type == "volume":
                self._rooms.volumes.unmount(point.name, spec.id)
        if spec.host.ipc_mode == "shareable":
            mounts.unmount_shared_memory(spec.folder)

    def _network_namespace(self, spec: SandboxSpec) -> str:
        """Return the network namespace, as `Namespaces.network` says it."""
        mode = spec.host.network_mode
        if mode == "host":
            return "host"
        if mode == "none" or spec.config.network_disabled:
            return "private"
        if "network" in spec.donors:
            return f"/proc/{spec.donors['network'].pid}/ns/net"
        return str(self._rooms.networks.sandbox(spec.network_id or spec.id, spec.userns))

    def _host_gateways(self, spec: SandboxSpec) -> Sequence[str]:
        if spec.host.network_mode == "host":
            return ("127.0.0.1",)  # the host itself
        return self._rooms.networks.host_gateways(spec.network_id or spec.id)

    def _join(self, spec: SandboxSpec) -> Sequence[Endpoint]:
        """Join the sandbox's networks, and return its places in them."""
        if not spec.has_networks:
            return ()
        networks, id = self._rooms.networks, spec.network_id or spec.id
        present = {endpoint.network for endpoint in networks.joined(id)}
        try:
            for position, (name, asked) in enumerate(spec.networks.items()):
                if name not in present:
                    networks.join(id, name, spec.endpoint(asked, first=position == 0))
        except LaminaError as error:
            message = f"failed to set up container networking: {error.message}"
            raise type(error)(message, advice=error.advice, **error.facts) from error
        networks.answer_names(id, etc_files.resolv_conf(spec, self.defaults).forwarding())
        return networks.joined(id)


def _check_users(spec: SandboxSpec) -> None:
    """Raise InvalidInput where the sandbox would share a namespace of another's users, which its root cannot manage."""
    if spec.userns is None:
        return
    for what, mode in (("network namespace", spec.host.network_mode), ("PID namespace", spec.host.pid_mode)):
        if mode == "host":  # a build step; containers are checked when they are made
            raise InvalidInput(f"cannot share the host's {what} when user namespaces are enabled")
    for kind, donor in spec.donors.items():
        if not spec.userns.has(donor.pid):
            raise InvalidInput(
                f"cannot share the {kind} namespace of a container that has other users",
                advice="Run both with --userns=host, or neither",
            )


def _make_working_directory(spec: SandboxSpec, root: Path) -> None:
    """Make the working directory where the image lacks it, as Docker does; not in what is mounted over it."""
    directory = os.path.normpath(spec.config.working_dir or "/")
    covered = any(f"{directory}/".startswith(f"{point.destination}/") for point in spec.mounts)
    if directory != "/" and not covered:
        ensure_directory(root, directory)


def ensure_directory(root: Path, path: str) -> None:
    """Make a directory and its parents below `root`, which a container controls. Follow symlinks inside it.

    What a link names is made where it is missing. Raise InvalidInput where a file is in the way, or links lead in
    circles.
    """
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    directories = Parents(root_fd, lambda directory, name: False)
    try:
        directories.open(path.strip("/"))
    except InvalidInput:
        raise InvalidInput(f"Cannot mkdir: {path} is not a directory", path=path) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise InvalidInput(f"Cannot mkdir: {path}: {error.strerror}", path=path) from None
        raise
    finally:
        directories.close()
        os.close(root_fd)
