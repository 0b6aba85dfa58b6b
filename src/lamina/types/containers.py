"""The verbs on containers."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.light import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # clients inherit these verbs, and commands pay for each import
    from collections.abc import Iterator, Sequence
    from typing import IO

    from lamina.api.containers import Config, EndpointConfig, ExecConfig, HostConfig, NetworkingConfig, UpdateConfig
    from lamina.api.explorer import FolderEntry
    from lamina.api.stream import Stream
    from lamina.formats.matching import Filters
    from lamina.formats.runconfig import RunConfig
    from lamina.types import results
    from lamina.types.images import Image
    from lamina.types.resources import Pruned
    from lamina.types.run_results import Completed, Group, LogRecord, Waiting, WaitResult


class Containers(Protocol):
    """Verbs on containers. A reference is a name, an ID or a unique beginning of one.

        id = containers.create("web", Config(image="nginx")).id
        containers.start(id)

    Every verb raises NotFound for an unknown container, and InvalidInput where several IDs begin so.
    """

    def create(
        self,
        name: str | None,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
        platform: str = "",
    ) -> results.Created:
        """Create a container, and return its ID and warnings. Without a name one is made up.

        Raise NotFound for a missing image, Conflict for a name in use, InvalidInput, NoSpace.
        """

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
        """Run a container to its end, remove it, and return its exit code and all that it wrote.

            done = containers.run(Config(image="alpine", cmd=("uname", "-r")), timeout=10)
            print(done.exit_code, done.stdout.decode())

        `timeout`, in seconds, kills the container, and what it wrote until then is returned. With a terminal
        (`config.tty`) everything is in `stdout`. Raise what `create` and `start` raise, and Cancelled.
        """

    def group(self) -> Group:
        """Return a group of containers that are removed together when its `with` block ends.

        with containers.group() as group:
            server = group.create("server", Config(image="my-app"))
            containers.start(server.id)
        """

    def get(self, reference: str, *, size: bool = False) -> results.ContainerDetails:
        """Return a container; with `size` also the bytes of its files."""

    def list(
        self, *, all: bool = False, limit: int = 0, size: bool = False, filters: Filters | None = None
    ) -> Sequence[results.ContainerSummary]:
        """Return containers, newest first; running ones only, unless `all`, `limit` or a filter says otherwise.

        Raise InvalidInput for an unknown filter or value, NotFound for the container that `before` or `since` names.
        """

    def start(self, reference: str) -> bool:
        """Start a container; False when it runs already."""

    def stop(self, reference: str, *, timeout: int | None = None, signal: str = "") -> bool:
        """Signal a container, kill it after `timeout` seconds (-1: never); False when it does not run."""

    def restart(self, reference: str, *, timeout: int | None = None, signal: str = "") -> None:
        """Stop a container where it runs, and start it."""

    def kill(self, reference: str, signal: str = "KILL") -> None:
        """Send a signal, by name or number. Raise Conflict when the container does not run, InvalidInput."""

    def pause(self, reference: str) -> None:
        """Freeze all processes of a container. Raise Conflict when it does not run or is paused."""

    def unpause(self, reference: str) -> None:
        """Let the processes of a container go on. Raise Conflict when it is not paused."""

    def rename(self, reference: str, name: str) -> None:
        """Give a container another name. Raise Conflict for a name in use, InvalidInput."""

    def update(self, reference: str, changes: UpdateConfig) -> tuple[str, ...]:
        """Change limits and the restart policy, of a running container too, and return warnings."""

    def remove(self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        """Remove a container. `force` kills it first, `volumes` takes its anonymous volumes along.

        `link` removes the link that a `reference` PARENT/ALIAS names, not the container. Raise Conflict for a
        container that runs.
        """

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        """Remove containers that do not run. Raise Cancelled."""

    def wait(
        self,
        reference: str,
        condition: str = "not-running",
        *,
        timeout: float | None = None,
        cancellation: Cancellation = NEVER,
    ) -> WaitResult:
        """Wait until the condition holds: not-running, next-exit or removed.

        Raise TimeoutError after `timeout` seconds, and Cancelled.
        """

    def waiting(self, reference: str, condition: str = "not-running", *, cancellation: Cancellation = NEVER) -> Waiting:
        """Begin to wait, without blocking: nothing that happens after this has returned is missed."""

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
        offset: str = "",
        cancellation: Cancellation = NEVER,
    ) -> Iterator[LogRecord]:
        """Yield what a container wrote, both streams in order; with `follow` on and on, until it ends.

        `since` and `until` are RFC 3339, Unix seconds or a span back from now ("10m"); `tail` counts from the end.
        `offset` is the `time` of a record: the ones behind it come, so that a reader goes on where it was.
        `cancellation` ends following. Raise Unsupported for a container that keeps no log.
        """

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
        """Return a container's standard files, also before it starts.

        `tty` tells a client whether the container has a terminal, which it would have to ask. Raise Conflict for a
        container that is paused or restarting, InvalidInput for bad keys.
        """

    def resize(self, reference: str, height: int, width: int) -> None:
        """Give a container's terminal another size, in characters. Raise Conflict when it does not run."""

    def exec_create(self, reference: str, config: ExecConfig) -> str:
        """Prepare a command in a running container, and return its ID."""

    def exec_start(self, exec_id: str, *, tty: bool | None = None) -> Stream:
        """Start a prepared command, and return its standard files. `tty` is as for `attach`."""

    def exec_detached(self, exec_id: str) -> None:
        """Start a prepared command and leave it alone."""

    def exec_inspect(self, exec_id: str) -> results.ExecDetails:
        """Return how a command is, or how it ended."""

    def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        """Give a command's terminal another size, in characters."""

    def top(self, reference: str, ps_args: str = "") -> results.Processes:
        """Return a container's processes as ps(1) shows them."""

    def stats(
        self,
        reference: str,
        *,
        stream: bool = False,
        one_shot: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> Iterator[results.ContainerStats]:
        """Yield what a container uses: once, or with `stream` every second until it is removed.

        A single reading waits a second for a second one to compare with, unless `one_shot`.
        """

    def changes(self, reference: str) -> Sequence[results.Change]:
        """Return what a container changed in its image's files, in the order of paths."""

    def stat_path(self, reference: str, path: str) -> results.PathStat:
        """Return what is at a path in a container. Raise NotFound."""

    def folder(self, reference: str, path: str = "/") -> Sequence[FolderEntry]:
        """Return what is in a directory of a container, sorted by name, with its volumes and binds.

        Raise NotFound, InvalidInput for no directory, TooLarge for more than 100,000 files.
        """

    def get_archive(
        self, reference: str, path: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER
    ) -> results.PathStat:
        """Write a path in a container to `sink` as a tar, and return what it is. Raise NotFound."""

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
        """Unpack a tar, compressed or not, into a directory of a container.

        `no_overwrite` refuses to put a directory where a file is and the other way round; `copy_owner` gives all files
        to the user that the container names, if any. Raise NotFound, InvalidInput for no directory, Forbidden for a
        read-only one.
        """

    def export(self, reference: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER) -> None:
        """Write a container's whole file system to `sink` as a tar, without what is mounted in it."""

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
        """Make an image of what a container changed.

        `config` and the Dockerfile instructions in `changes` say what shall be different about the image. A running
        container is paused meanwhile, unless `pause` is false. Raise InvalidInput for a bad change, NoSpace, Cancelled.
        """

    def connect(self, reference: str, network: str, endpoint: EndpointConfig | None = None) -> None:
        """Let a container join a network, at once and at every start to come.

        `endpoint` asks for addresses and names. Raise Conflict for an address in use or a network joined already.
        """

    def disconnect(self, reference: str, network: str, *, force: bool = False) -> None:
        """Take a container, with `force` even one that is gone, out of a network.

        Raise Conflict when the container is not in the network.
        """
