"""What runs in containers: their streams, logs, processes and usage, and further commands beside their own."""

from __future__ import annotations

from collections.abc import Iterator

from lamina.api.containers import ExecConfig
from lamina.api.stream import Stream
from lamina.cancellation import NEVER, Cancellation
from lamina.containers import logs, top
from lamina.containers.attach import AttachOptions, attach
from lamina.containers.catalog import Catalog
from lamina.containers.execs import ExecDetails, Execs
from lamina.containers.file_verbs import FileVerbs
from lamina.containers.lifecycle import Lifecycle
from lamina.containers.log_drivers import log_path
from lamina.containers.logs import LogOptions
from lamina.containers.rooms import Rooms
from lamina.containers.statistics import ContainerStats, readings, statistics
from lamina.containers.top import Processes
from lamina.errors import Internal, InvalidInput, Unsupported
from lamina.formats.times import parse_moment, parse_time
from lamina.types.run_results import LogRecord


class ProcessVerbs(FileVerbs):
    """The verbs of `Containers` on what runs in them."""

    def __init__(self, rooms: Rooms, catalog: Catalog, lifecycle: Lifecycle, execs: Execs) -> None:
        super().__init__(rooms, catalog)
        self._lifecycle = lifecycle
        self._execs = execs

    def top(self, reference: str, ps_args: str = "") -> Processes:
        container = self.live(reference)
        processes = top.top(container, ps_args)
        container.publish("top")
        return processes

    def reading(self, reference: str) -> ContainerStats:
        """Return what a container uses at this moment."""
        return statistics(self.live(reference))

    def stats(
        self,
        reference: str,
        *,
        stream: bool = False,
        one_shot: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> Iterator[ContainerStats]:
        return readings(self.live(reference), stream=stream, one_shot=one_shot, cancellation=cancellation)

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
        container = self.live(reference)
        options = AttachOptions(stdin=stdin, stdout=stdout, stderr=stderr, detach_keys=detach_keys)
        connection = attach(container, self._lifecycle, options)
        return Stream(connection, b"", framed=not container.record.config.tty)

    def resize(self, reference: str, height: int, width: int) -> None:
        container = self.live(reference)
        container.running_task().resize(height, width)
        container.publish("resize", height=str(height), width=str(width))

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
        container = self.live(reference)
        path = log_path(container)
        if path is None:
            raise Unsupported("configured logging driver does not support reading")

        def running() -> bool:
            return container.state.running and not container.removed

        start, end = (parse_moment(text) if text else 0 for text in (since, until))
        options = LogOptions(
            stdout=stdout, stderr=stderr, follow=follow, since=start, until=end, tail=tail, after=_moment(offset)
        )
        return logs.read(path, options, running, cancellation)

    def exec_create(self, reference: str, config: ExecConfig) -> str:
        return self._execs.create(self.live(reference), config)

    def exec_start(self, exec_id: str, *, tty: bool | None = None) -> Stream:
        return self.exec_start_sized(exec_id, None)

    def exec_start_sized(self, exec_id: str, size: tuple[int, int] | None) -> Stream:
        """`exec_start` with a terminal of so many rows and columns."""
        connection = self._execs.start(exec_id, size=size)
        if connection is None:
            raise Internal("the process has no streams")
        return Stream(connection, b"", framed=not self._execs.get(exec_id).wish.tty)

    def exec_detached(self, exec_id: str) -> None:
        self._execs.start(exec_id, detach=True)

    def exec_settle(self, exec_id: str, seconds: float) -> None:
        """Wait until a command whose output has ended is known to have ended too, at most so long."""
        self._execs.settle(exec_id, seconds)

    def exec_inspect(self, exec_id: str) -> ExecDetails:
        return self._execs.inspect(exec_id)

    def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        self._execs.resize(exec_id, height, width)


def _moment(offset: str) -> int:
    """Return the time of the record that was read last, 0 for none. Raise InvalidInput."""
    try:
        return parse_time(offset) if offset else 0
    except ValueError:
        raise InvalidInput(f"offset {offset!r} is no time of a record", offset=offset) from None
