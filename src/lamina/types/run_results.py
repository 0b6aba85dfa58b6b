"""What running a container gives: log records, the end of a wait, the whole output, and groups of containers."""

from __future__ import annotations

from lamina.light import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self

    from lamina.api.containers import Config, HostConfig, NetworkingConfig
    from lamina.types.results import Created


class LogRecord(NamedTuple):
    """A message of a container: `stream` is stdout or stderr, `data` has its line end.

    `time`, RFC 3339, is when it was logged; no two records of a container have the same. `attributes` are those that
    the options of its log driver ask for; a client does not ask for them.
    """

    stream: str
    time: str
    data: bytes
    attributes: Mapping[str, str] = {}


class WaitResult(NamedTuple):
    """What a wait ends with: the exit code, and why the container could not be removed or started, if so."""

    exit_code: int
    error: str = ""


class Waiting(Protocol):
    """A wait that has begun: nothing that happens from then on is missed. A context manager that stops waiting."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def result(self, timeout: float | None = None) -> WaitResult:
        """Return how it ended. Raise TimeoutError after `timeout` seconds, Cancelled, Unavailable for a lost daemon."""

    def close(self) -> None:
        """Stop waiting. May be called twice."""


class Completed(NamedTuple):
    """A container that has run to its end. `timed_out` tells that its time limit ended it."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


class Group(Protocol):
    """Containers that are removed, running or not, with their anonymous volumes, when the block ends.

    That happens after an exception and after Ctrl-C as well; further Ctrl-Cs do not break it off.
    """

    def __enter__(self) -> Self: ...
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
