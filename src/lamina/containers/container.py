"""One container while the engine is open: its record, its task, and who waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lamina.cancellation import NEVER, Cancellation
from lamina.containers import states
from lamina.containers.record import Record, State
from lamina.errors import Cancelled, Conflict, InvalidInput, NotFound, Unavailable
from lamina.events import EventBus
from lamina.linux.user_namespaces import IdMap, UserNamespace, ids_of
from lamina.runtime.task import Task
from lamina.types import run_results
from lamina.types.run_results import WaitResult

FIRST_DELAY = 0.1  # seconds before the first restart; doubled each time, as dockerd does
LONGEST_DELAY = 60.0
PATIENCE = 2.0  # seconds that a request waits for a start that is under way
STEADY = 10.0  # seconds after which a container counts as having run well


class Waiting(run_results.Waiting):
    """A wait on a future of a container's."""

    def __init__(self, future: Future[WaitResult], cancellation: Cancellation = NEVER) -> None:
        self.future = future
        self._cancellation = cancellation

    def result(self, timeout: float | None = None) -> WaitResult:
        try:
            return self.future.result(timeout)
        except CancelledError:
            self._cancellation.check()
            raise Cancelled("the wait was ended") from None
        except TimeoutError:
            raise TimeoutError(f"the container has not ended within {timeout:g} seconds") from None

    def close(self) -> None:
        self.future.cancel()


@dataclass(slots=True)
class Restarting:
    """The state of a restart policy. `delay`, in seconds, grows while the container keeps failing."""

    delay: float = 0.0
    cancellation: Cancellation = field(default_factory=Cancellation)

    def again(self, record: Record, code: int, seconds: float) -> bool:
        """Return whether the policy starts the container again, which ended with `code` after `seconds`.

        Then set how long to wait before.
        """
        policy = record.host_config.restart_policy
        limit = policy.maximum_retry_count
        failed = policy.name == "on-failure" and code != 0 and (limit == 0 or record.restart_count < limit)
        if self.cancellation.cancelled or not (failed or policy.name in ("always", "unless-stopped")):
            return False
        fresh = seconds >= STEADY or not self.delay
        self.delay = FIRST_DELAY if fresh else min(self.delay * 2, LONGEST_DELAY)
        return True


class Container:
    """A container. `record` is replaced as a whole and may be read without a lock; `lock` guards changes of state.

    Whoever holds `lock` must not wait for the container's process.
    """

    def __init__(
        self,
        record: Record,
        directory: Path,
        save: Callable[[Record], None],
        events: EventBus,
        userns: UserNamespace | None = None,
    ) -> None:
        self.record = record
        self.userns = None if record.host_config.userns_mode == "host" else userns  # has the users of the next start
        self.directory = directory
        self.lock = threading.RLock()
        self.task: Task | None = None
        self.mounted = False  # whether we hold its root file system
        self.removed = False
        self.restarting = Restarting()
        self.between_runs = False  # it was stopped to be started again at once
        self.checking = Cancellation()  # ends the health checks of the process that runs
        self._save = save
        self._events = events
        self._waiting: dict[str, list[Future[WaitResult]]] = {"not-running": [], "next-exit": [], "removed": []}

    @property
    def id(self) -> str:
        """Return its ID, 64 hexadecimal digits."""
        return self.record.id

    @property
    def name(self) -> str:
        """Return its name, without a slash."""
        return self.record.name

    @property
    def state(self) -> State:
        """Return its state as recorded; reading it takes no lock."""
        return self.record.state

    @property
    def ids(self) -> IdMap | None:
        """Return whose users own what is mounted for it; None for the host's.

        One that runs keeps those it was started with, whatever the engine's settings are by now.
        """
        if self.state.pid:
            with suppress(OSError):  # it has ended
                return ids_of(self.state.pid)
        return self.userns.ids if self.userns else None

    @property
    def images(self) -> frozenset[str]:
        """Return the IDs of the image it was made from, and of those that are mounted in it."""
        return frozenset((self.record.image, *(point.image for point in self.record.mounts if point.image)))

    @property
    def log_path(self) -> Path:
        """Return where its log is, whether there is one or not."""
        return self.directory / f"{self.id}-json.log"

    @contextmanager
    def still_there(self, reference: str) -> Iterator[None]:
        """Raise "No such container" where a file or snapshot is not found because the container was just removed.

        The error names the container by the caller's `reference`.
        """
        try:
            yield
        except NotFound as error:
            with self.lock:  # which a removal holds from the first thing that it takes away to the last
                if self.removed:
                    raise NotFound(f"No such container: {reference}", container=reference) from error
            raise

    @contextmanager
    def requested(self) -> Iterator[None]:
        """Hold `lock` for a request. Raise Unavailable where a start that hangs holds it longer than `PATIENCE`."""
        if not self.lock.acquire(timeout=PATIENCE):
            raise Unavailable(
                f"container {self.id} is being started, and that has not ended within {PATIENCE:g} seconds",
                advice="Try again later, or end the start with kill",
                container=self.id,
            )
        try:
            yield
        finally:
            self.lock.release()

    def change(self, **fields: object) -> None:
        """Replace fields of the record, and keep it, unless the container is gone."""
        with self.lock:
            self.record = msgspec.structs.replace(self.record, **fields)
            if not self.removed:
                self._save(self.record)

    def set_state(self, **fields: object) -> None:
        """Replace fields of the state, and keep it."""
        self.change(state=msgspec.structs.replace(self.record.state, **fields))

    def publish(self, action: str, **attributes: str) -> None:
        """Tell listeners that `action` happened to the container."""
        record = self.record
        event_attributes = {**record.config.labels, "image": record.config.image, "name": record.name, **attributes}
        self._events.publish("container", action, record.id, event_attributes)

    def check(self, verb: states.Verb) -> None:
        """Raise Conflict or NotModified where the container refuses `verb` in the state it is in."""
        status = "removing" if self.removed else self.state.status
        states.check(verb, status, id=self.id, name=self.name)

    def running_task(self, verb: states.Verb = "use") -> Task:
        """Return the task of a running container. Raise Conflict when it does not run, or refuses `verb`."""
        self.check(verb)
        if self.task is None:
            raise Conflict(f"container {self.id} is not running", container=self.id)
        return self.task

    def wait(self, condition: str, cancellation: Cancellation = NEVER) -> Future[WaitResult]:
        """Return a future that ends when the condition holds; `cancellation` cancels it.

        Raise InvalidInput for an unknown condition.
        """
        waiting = self._waiting.get(condition)
        if waiting is None:
            raise InvalidInput(f'invalid condition: "{condition}"', condition=condition)
        future: Future[WaitResult] = Future()
        with self.lock:
            ended = self.removed or (condition == "not-running" and self._at_rest())
            if not ended:
                waiting[:] = [other for other in waiting if not other.cancelled()]  # whose clients went away
                waiting.append(future)
        if ended:
            future.set_result(WaitResult(self.state.exit_code, self.state.error))
            return future
        watching = ExitStack()
        watching.enter_context(cancellation.on_cancel(future.cancel))
        future.add_done_callback(lambda future: watching.close())
        return future

    def _at_rest(self) -> bool:
        return not self.state.running

    def tell_ended(self) -> None:
        """End the waits for an exit. `lock` is held."""
        self._tell("not-running", "next-exit")

    def tell_removed(self) -> None:
        """End every wait. `lock` is held."""
        self.removed = True
        self._tell("not-running", "next-exit", "removed")

    def _tell(self, *conditions: str) -> None:
        for condition in conditions:
            error = "" if condition == "removed" else self.state.error  # its removal went well
            result = WaitResult(self.state.exit_code, error)
            ended = list(self._waiting[condition])
            self._waiting[condition].clear()
            for future in ended:
                if future.set_running_or_notify_cancel():
                    future.set_result(result)
