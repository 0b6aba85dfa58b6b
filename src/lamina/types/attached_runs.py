"""A container run to its end with its streams attached, and groups of containers that are removed together."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress

from lamina.cancellation import NEVER, Cancellation
from lamina.errors import Conflict, LaminaError, NotFound
from lamina.formats.frames import STDERR
from lamina.light import TYPE_CHECKING
from lamina.types import run_results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from lamina.api.containers import Config, HostConfig, NetworkingConfig
    from lamina.api.stream import Stream
    from lamina.types.containers import Containers
    from lamina.types.results import Created


class ContainerGroup(run_results.Group):
    """The containers of a `group`."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._ids: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failures = self.close()
        if failures and error is None:
            raise failures[0]

    def create(
        self,
        name: str | None,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
    ) -> Created:
        container = self._containers.create(name, config, host_config, networking)
        self.add(container.id)
        return container

    def add(self, reference: str) -> None:
        self._ids.append(reference)

    def close(self) -> list[LaminaError]:
        """Remove the containers at once, and return what could not be done. May be called twice."""
        failures: list[LaminaError] = []
        with _interrupts_put_off():
            references, self._ids = self._ids, []
            removals = [threading.Thread(target=self._remove, args=(id, failures)) for id in references]
            for removal in removals:
                removal.start()
            for removal in removals:
                removal.join()
        return failures

    def _remove(self, reference: str, failures: list[LaminaError]) -> None:
        try:
            self._containers.remove(reference, force=True, volumes=True)
        except NotFound:
            return  # it has been removed by itself (auto_remove), or by somebody else
        except LaminaError as error:
            failures.append(error)


@contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Hold Ctrl-C back while the block runs, and raise it afterwards. Only the main thread gets any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    import signal

    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    if interrupts:
        raise KeyboardInterrupt


def run_attached(
    containers: Containers, id: str, stream: Stream, stdin: bytes, timeout: float | None, cancellation: Cancellation
) -> run_results.Completed:
    """Start a container, give it its input, and return what it wrote when it has ended; see `Containers.run`."""
    outputs: dict[bool, list[bytes]] = {False: [], True: []}
    with containers.waiting(id, "next-exit") as waiting:
        cancellation.check()
        containers.start(id)
        with _killing(containers, id, timeout, cancellation) as expired:
            if stdin:
                threading.Thread(target=_feed, args=(stream, stdin), daemon=True).start()
            for channel, data in stream:
                outputs[channel == STDERR].append(data)
            exit_code = waiting.result().exit_code
        cancellation.check()
    return run_results.Completed(exit_code, b"".join(outputs[False]), b"".join(outputs[True]), expired.is_set())


def _feed(stream: Stream, data: bytes) -> None:
    if stream.send(data):
        stream.close_write()


@contextmanager
def _killing(
    containers: Containers, id: str, timeout: float | None, cancellation: Cancellation
) -> Iterator[threading.Event]:
    """Kill the container when the time is up or somebody cancels. The event tells that the time was up."""
    expired, finished = threading.Event(), threading.Event()
    due = threading.Event()

    def watch() -> None:
        if not due.wait(timeout):
            expired.set()
        if not finished.is_set():
            with suppress(Conflict, NotFound):  # it has just ended by itself
                containers.kill(id)

    if timeout is None and cancellation is NEVER:
        yield expired
        return
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        with cancellation.on_cancel(due.set):
            yield expired
    finally:
        finished.set()
        due.set()
        watcher.join()
