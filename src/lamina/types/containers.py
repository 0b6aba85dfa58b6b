"""The verbs on containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Protocol

from lamina.api.containers import Config, EndpointConfig, ExecConfig, HostConfig, NetworkingConfig, UpdateConfig
from lamina.api.stream import Stream
from lamina.cancellation import NEVER, Cancellation
from lamina.formats.matching import Filters
from lamina.formats.runconfig import RunConfig
from lamina.types.images import Image
from lamina.types.resources import Pruned
from lamina.types.results import (
    Change,
    Completed,
    ContainerDetails,
    ContainerStats,
    ContainerSummary,
    Created,
    ExecDetails,
    Group,
    LogRecord,
    PathStat,
    Processes,
    Waiting,
    WaitResult,
)


class Containers(Protocol):
    """Verbs on containers. A reference is a name, an ID or a unique beginning of one."""

    def create(
        self,
        name: str | None,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
        platform: str = "",
    ) -> Created:
        """Create a container. Raise NotFound for a missing image, Conflict for a name in use."""

    def run(
        self,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
        *,
        name: str | None = None,
        stdin: bytes = b"",
        timeout: float | None = None,
        cancellation: Cancellation = NEVER,
    ) -> Completed:
        """Run a container to its end, remove it, and return its exit code and all that it wrote."""

    def group(self) -> Group:
        """Return a group of containers that are removed together when its `with` block ends."""

    def get(self, reference: str, *, size: bool = False) -> ContainerDetails:
        """Return a container; with `size` also the bytes of its files. Raise NotFound."""

    def list(
        self, *, all: bool = False, limit: int = 0, size: bool = False, filters: Filters | None = None
    ) -> Sequence[ContainerSummary]:
        """Return containers, newest first; running ones only, unless `all`, `limit` or a filter says otherwise."""

    def start(self, reference: str) -> bool:
        """Start a container; False when it runs already."""

    def stop(self, reference: str, *, timeout: int | None = None, signal: str = "") -> bool:
        """Signal a container, kill it after `timeout` seconds (-1: never); False when it does not run."""

    def restart(self, reference: str, *, timeout: int | None = None, signal: str = "") -> None:
        """Stop a container where it runs, and start it."""

    def kill(self, reference: str, signal: str = "KILL") -> None:
        """Send a signal, by name or number. Raise Conflict when the container does not run."""

    def pause(self, reference: str) -> None:
        """Freeze all processes of a container."""

    def unpause(self, reference: str) -> None:
        """Let the processes of a container go on."""

    def rename(self, reference: str, name: str) -> None:
        """Give a container another name. Raise Conflict for a name in use."""

    def update(self, reference: str, changes: UpdateConfig) -> tuple[str, ...]:
        """Change limits and the restart policy, of a running container too, and return warnings."""

    def remove(self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        """Remove a container. `force` kills it first, `volumes` takes its anonymous volumes along."""

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        """Remove containers that do not run."""

    def wait(
        self,
        reference: str,
        condition: str = "not-running",
        *,
        timeout: float | None = None,
        cancellation: Cancellation = NEVER,
    ) -> WaitResult:
        """Wait until the condition holds: not-running, next-exit or removed.

        Raise TimeoutError after `timeout` seconds.
        """

    def waiting(self, reference: str, condition: str = "not-running", *, cancellation: Cancellation = NEVER) -> Waiting:
        """Begin to wait, without blocking."""

    def logs(
        self,
        reference: str,
        *,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        since: str = "",
        until: str = "",
        tail: int | None = None,
        cancellation: Cancellation = NEVER,
    ) -> Iterator[LogRecord]:
        """Yield what a container wrote, both streams in order; with `follow` on and on, until it ends."""

    def attach(
        self,
        reference: str,
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        detach_keys: str = "",
        tty: bool | None = None,
    ) -> Stream:
        """Return a container's standard files, also before it starts. `tty` spares a question where it is known."""

    def resize(self, reference: str, height: int, width: int) -> None:
        """Give a container's terminal another size, in characters."""

    def exec_create(self, reference: str, config: ExecConfig) -> str:
        """Prepare a command in a running container, and return its ID."""

    def exec_start(self, exec_id: str, *, tty: bool | None = None) -> Stream:
        """Start a prepared command, and return its standard files. `tty` spares a question where it is known."""

    def exec_detached(self, exec_id: str) -> None:
        """Start a prepared command and leave it alone."""

    def exec_inspect(self, exec_id: str) -> ExecDetails:
        """Return how a command is, or how it ended."""

    def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        """Give a command's terminal another size, in characters."""

    def top(self, reference: str, ps_args: str = "") -> Processes:
        """Return a container's processes as ps(1) shows them."""

    def stats(
        self,
        reference: str,
        *,
        stream: bool = False,
        one_shot: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> Iterator[ContainerStats]:
        """Yield what a container uses: once, or with `stream` every second until it is removed.

        A single reading waits a second for a second one to compare with, unless `one_shot`.
        """

    def changes(self, reference: str) -> Sequence[Change]:
        """Return what a container changed in its image's files, in the order of paths."""

    def stat_path(self, reference: str, path: str) -> PathStat:
        """Return what is at a path in a container. Raise NotFound."""

    def get_archive(
        self, reference: str, path: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER
    ) -> PathStat:
        """Write a path in a container to `sink` as a tar, and return what it is."""

    def put_archive(
        self,
        reference: str,
        path: str,
        source: IO[bytes],
        *,
        no_overwrite: bool = False,
        copy_owner: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> None:
        """Unpack a tar into a directory of a container."""

    def export(self, reference: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER) -> None:
        """Write a container's whole file system to `sink` as a tar."""

    def commit(
        self,
        reference: str,
        name: str = "",
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        config: RunConfig | None = None,
        pause: bool = True,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        """Make an image of what a container changed. `changes` are Dockerfile instructions."""

    def connect(self, reference: str, network: str, endpoint: EndpointConfig | None = None) -> None:
        """Let a container join a network, at once and at every start to come."""

    def disconnect(self, reference: str, network: str, *, force: bool = False) -> None:
        """Take a container out of a network."""
