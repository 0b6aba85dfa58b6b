"""What programs get to know of containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from lamina.api.containers import Config, HostConfig, NetworkingConfig, PortHost


class Created(Protocol):
    """A new container's ID, and sentences about what this machine cannot give it."""

    @property
    def id(self) -> str: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


class ContainerState(Protocol):
    """How a container's process is, or how it ended.

    `status` is created, running, paused, restarting, removing, exited or dead; `pid` is 0 while no process is there.
    """

    @property
    def status(self) -> str: ...
    @property
    def running(self) -> bool: ...
    @property
    def pid(self) -> int: ...
    @property
    def exit_code(self) -> int: ...
    @property
    def error(self) -> str: ...
    @property
    def oom_killed(self) -> bool: ...
    @property
    def started_at(self) -> str: ...
    @property
    def finished_at(self) -> str: ...
    @property
    def health_status(self) -> str: ...


class Mount(Protocol):
    """A volume or bind of a container."""

    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def destination(self) -> str: ...
    @property
    def rw(self) -> bool: ...


class ContainerNetwork(Protocol):
    """A container's place in a network; addresses are "" while it does not run."""

    @property
    def network_id(self) -> str: ...
    @property
    def ip_address(self) -> str: ...
    @property
    def gateway(self) -> str: ...
    @property
    def mac_address(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...


class ContainerSummary(Protocol):
    """A container as lists have it; `status` is the sentence that `ps` shows."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def image(self) -> str: ...
    @property
    def image_id(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def created(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def running(self) -> bool: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def mounts(self) -> Sequence[Mount]: ...
    @property
    def networks(self) -> Mapping[str, ContainerNetwork]: ...
    @property
    def size_rw(self) -> int | None: ...
    @property
    def size_root_fs(self) -> int | None: ...


class ContainerDetails(Protocol):
    """A container, whole. `ports` has None for a port that is exposed and not published.

    `exit_code` is None while the container has not ended; sizes are None unless they were asked for.
    """

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def image(self) -> str: ...
    @property
    def image_id(self) -> str: ...
    @property
    def command(self) -> tuple[str, ...]: ...
    @property
    def created(self) -> str: ...
    @property
    def state(self) -> ContainerState: ...
    @property
    def running(self) -> bool: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def restart_count(self) -> int: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def config(self) -> Config: ...
    @property
    def host_config(self) -> HostConfig: ...
    @property
    def mounts(self) -> Sequence[Mount]: ...
    @property
    def networks(self) -> Mapping[str, ContainerNetwork]: ...
    @property
    def ports(self) -> Mapping[str, tuple[PortHost, ...] | None]: ...
    @property
    def size_rw(self) -> int | None: ...
    @property
    def size_root_fs(self) -> int | None: ...


class ContainerStats(Protocol):
    """What a container uses at one moment: nanoseconds of CPU time, bytes of memory.

    `cpu_percent` is the share of one CPU since the reading before; 0.0 when there is none.
    """

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def read(self) -> str: ...
    @property
    def cpu_total(self) -> int: ...
    @property
    def cpu_percent(self) -> float: ...
    @property
    def memory_usage(self) -> int: ...
    @property
    def memory_limit(self) -> int: ...
    @property
    def pids(self) -> int: ...
    @property
    def networks(self) -> Mapping[str, Mapping[str, int]]: ...


class Processes(Protocol):
    """A container's processes as ps(1) shows them."""

    @property
    def titles(self) -> tuple[str, ...]: ...
    @property
    def rows(self) -> tuple[tuple[str, ...], ...]: ...


class Change(Protocol):
    """A file that a container changed in its image: `kind` is "A" added, "C" changed, "D" deleted."""

    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> str: ...


class PathStat(Protocol):
    """A path in a container; `mode` as Go's os.FileMode, `link_target` where a symlink leads in the end."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def mode(self) -> int: ...
    @property
    def mtime(self) -> str: ...
    @property
    def link_target(self) -> str: ...


class LogRecord(Protocol):
    """A message of a container: `stream` is stdout or stderr, `time` when it was logged, `data` with its line end."""

    @property
    def stream(self) -> str: ...
    @property
    def time(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class WaitResult(Protocol):
    """What a wait ends with: the exit code, and why the container could not be removed or started, if so."""

    @property
    def exit_code(self) -> int: ...
    @property
    def error(self) -> str: ...


class Waiting(Protocol):
    """A wait that has begun: nothing that happens from then on is missed. A context manager that stops waiting."""

    def __enter__(self) -> Waiting: ...
    def __exit__(self, *unused: object) -> None: ...

    def result(self, timeout: float | None = None) -> WaitResult:
        """Return how it ended. Raise TimeoutError after `timeout` seconds, Cancelled where the wait was cancelled."""

    def close(self) -> None:
        """Stop waiting. May be called twice."""


class ExecDetails(Protocol):
    """A command beside a container's own; `exit_code` is None until it has ended."""

    @property
    def id(self) -> str: ...
    @property
    def container_id(self) -> str: ...
    @property
    def running(self) -> bool: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def pid(self) -> int: ...


class Completed(NamedTuple):
    """A container that has run to its end. `timed_out` tells that its time limit ended it."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


class Group(Protocol):
    """Containers that are removed, running or not, when the block ends: after an exception and after Ctrl-C as well."""

    def __enter__(self) -> Group: ...
    def __exit__(self, *error: Any) -> None: ...

    def create(
        self,
        name: str | None,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
    ) -> Created:
        """Create a container of this group, as `containers.create` does."""

    def add(self, reference: str) -> None:
        """Make a container, by its name or ID, one of this group."""
