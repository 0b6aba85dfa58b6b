"""What happens when a container's process ends: its restart policy, its removal, and those who wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from msgspec.structs import replace

from lamina.containers.container import Container, Restarting
from lamina.containers.launch import Launcher
from lamina.errors import LaminaError
from lamina.formats.times import format_time, parse_time
from lamina.runtime.process import ExitStatus

FIRST_DELAY = 0.1  # seconds before the first restart; doubled each time, as dockerd does
LONGEST_DELAY = 60.0
STEADY = 10.0  # seconds after which a container counts as having run well


class Exits:
    """Takes the ends of processes, each in a thread of its own."""

    def __init__(
        self,
        launcher: Launcher,
        restart: Callable[[Container], None],
        remove: Callable[[Container], None],
    ) -> None:
        """`restart` starts a container again, `remove` takes one away with its anonymous volumes; both lock it."""
        self._launcher = launcher
        self._restart = restart
        self._remove = remove
        self.closed = False

    def ended(self, container: Container, status: ExitStatus) -> None:
        """The container's process has ended."""
        with container.lock:
            if not container.state.running or self.closed:
                return
            ran = self._settle(container, status)
            again = self._wants_restart(container, status, ran)
            if again:
                container.change(restart_count=container.record.restart_count + 1)
                container.set_state(status="restarting")
            else:
                container.restarting = Restarting()
            if not self._removes(container, again):
                container.tell_ended()
        if again:
            self._later(container)
        elif container.record.host_config.auto_remove:
            self._remove(container)

    def _removes(self, container: Container, again: bool) -> bool:
        """A container that removes itself tells its exit when it is gone, so that its name is free by then."""
        return container.record.host_config.auto_remove and not again

    def _settle(self, container: Container, status: ExitStatus) -> float:
        """Records the end and gives everything back; gives how long the process ran, in seconds."""
        container.stop_health()
        began = parse_time(container.state.started_at)
        ran = max(0.0, (status.finished_at - began) / 1e9)
        self._launcher.release(container)
        health = container.state.health
        container.set_state(
            health=replace(health, status="unhealthy") if health else None,  # as dockerd calls what is not checked
            status="exited",
            pid=0,
            exit_code=status.code,
            oom_killed=status.oom_killed,
            finished_at=format_time(status.finished_at),
            error="the container's monitor was killed" if status.lost else "",
        )
        container.publish("die", exitCode=str(status.code), execDuration=str(int(ran)))
        return ran

    def _wants_restart(self, container: Container, status: ExitStatus, ran: float) -> bool:
        policy = container.record.host_config.restart_policy
        progress = container.restarting
        if container.state.stopped_by_user or progress.cancellation.cancelled:
            return False
        wanted = policy.name in ("always", "unless-stopped")
        if policy.name == "on-failure" and status.code != 0:
            limit = policy.maximum_retry_count
            wanted = limit == 0 or container.record.restart_count < limit
        if wanted:
            steady = ran >= STEADY
            progress.delay = FIRST_DELAY if steady or not progress.delay else min(progress.delay * 2, LONGEST_DELAY)
        return wanted

    def _later(self, container: Container) -> None:
        progress = container.restarting
        threading.Thread(target=self._wait_and_restart, args=(container, progress), daemon=True).start()

    def _wait_and_restart(self, container: Container, progress: Restarting) -> None:
        deadline = time.monotonic() + progress.delay
        if progress.cancellation.wait(max(0.0, deadline - time.monotonic())) or self.closed:
            return
        try:
            self._restart(container)
        except LaminaError as error:
            with container.lock:
                container.restarting = Restarting()
                container.set_state(status="exited", error=str(error), finished_at=format_time(time.time_ns()))
                container.tell_ended()
