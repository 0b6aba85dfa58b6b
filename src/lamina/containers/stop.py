"""Signals, and the ends they lead to: kill, stop. No container's lock is held while its process is waited for."""

from __future__ import annotations

import re
import signal
from concurrent.futures import Future
from contextlib import suppress

from lamina.containers.container import Container
from lamina.errors import Conflict, InvalidInput, LaminaError, Unavailable
from lamina.types.run_results import WaitResult

STOP_SECONDS = 10  # between the stop signal and SIGKILL, where nobody says otherwise
KILL_SECONDS = 10.0  # how long a killed process may take to go
START_PATIENCE = 1.0  # how long a start may go on that somebody wants ended: many times what one takes
_LONGEST = 1e9  # seconds that can be waited

_SIGNAL_NUMBER = re.compile(r"[0-9]{1,3}")
_REAL_TIME = re.compile(r"RT(MIN|MAX)([+-][0-9]{1,2})?")


def parse_signal(text: str, default: int = signal.SIGKILL) -> int:
    """Return a signal's number from "9", "KILL", "SIGKILL", "RTMIN+3", "RTMAX-1" or "". Raise InvalidInput."""
    written = text.strip().upper()
    if not written:
        return default
    number = int(written) if _SIGNAL_NUMBER.fullmatch(written) else _signal_named(written.removeprefix("SIG"))
    if not 0 < number <= signal.SIGRTMAX:
        raise InvalidInput(f"Invalid signal: {text}", signal=text)
    return number


def _signal_named(name: str) -> int:
    """Return the number of "KILL" or "RTMIN+3", 0 where there is no such signal."""
    counted = _REAL_TIME.fullmatch(name)
    if counted is None:
        return int(signal.Signals.__members__.get(f"SIG{name}", 0))
    offset = int(counted[2] or 0)
    number = signal.SIGRTMIN + offset if counted[1] == "MIN" else signal.SIGRTMAX + offset
    return number if signal.SIGRTMIN <= number <= signal.SIGRTMAX else 0


def kill(container: Container, number: int) -> None:
    """Send a signal, and after SIGKILL wait for the end. A start that hangs is ended by SIGKILL, too.

    Raise Conflict when the container does not run, Unavailable when it survives.
    """
    if number == signal.SIGKILL and end_start(container):
        return
    ended = container.wait("not-running")
    send(container, number)
    if number == signal.SIGKILL:
        _await(container, ended)


def send(container: Container, number: int) -> None:
    """Send a signal. Raise Conflict when the container does not run."""
    if container.state.status == "restarting":
        no_more_restarts(container)
        return
    task = container.running_task("kill")
    if number in (signal.SIGKILL, parse_signal(container.record.config.stop_signal, signal.SIGTERM)):
        _mark(container)
    if number == signal.SIGKILL and container.state.status == "paused":
        task.resume()  # a frozen process does not die on cgroup v1
    try:
        task.kill(number)
    except Conflict:  # it has just ended, which its record does not tell yet
        reason = f"container {container.id} is not running"
        raise Conflict(f"cannot kill container: {container.id}: {reason}", container=container.id) from None
    container.publish("kill", signal=str(number))


def stop(container: Container, timeout: int | None = None, stop_signal: str = "") -> bool:
    """Send the stop signal, and SIGKILL after `timeout` seconds (-1: never); return when the container has ended.

    Return False when it was stopped already. A start that hangs is ended.

    Raise Unavailable when the process survives SIGKILL.
    """
    if end_start(container):
        return True
    if not container.state.running:
        return False
    _mark(container)
    if container.state.status == "restarting":
        no_more_restarts(container)
        return True
    ended = container.wait("not-running")
    config = container.record.config
    number = parse_signal(stop_signal or config.stop_signal, signal.SIGTERM)
    wait = timeout if timeout is not None else config.stop_timeout
    wait = STOP_SECONDS if wait is None else wait
    try:
        send(container, number)
        task = container.task
        if container.state.status == "paused" and task is not None:
            task.resume()
        ended.result(None if wait < 0 else min(wait, _LONGEST))
    except TimeoutError:
        end(container)
    except Conflict:
        _await(container, ended)  # it has just ended by itself
    container.publish("stop")
    return True


def end_start(container: Container) -> bool:
    """Wait until nobody changes the container's state, and end a start that hangs. Return whether there was one.

    A start holds the lock while it waits for the runtime program.
    """
    ended = False
    while not container.lock.acquire(timeout=START_PATIENCE):
        task = container.task
        if task is not None:
            with suppress(LaminaError):  # it is not there yet, or gone: the lock tells
                ended = task.abort() or ended
    container.lock.release()
    return ended


def end(container: Container) -> None:
    """Kill the container and wait for its end. Raise Unavailable when it does not come."""
    ended = container.wait("not-running")
    with suppress(Conflict):
        send(container, signal.SIGKILL)
    _await(container, ended)


def _await(container: Container, ended: Future[WaitResult]) -> None:
    """Wait for the end of a killed process. Raise Unavailable when it does not come."""
    try:
        ended.result(KILL_SECONDS)
    except TimeoutError:
        raise Unavailable(
            f"container {container.id} PID {container.state.pid} is zombie and can not be killed. "
            "Use the --init option when creating containers to run an init inside the container that forwards "
            "signals and reaps processes",
            container=container.id,
        ) from None


def no_more_restarts(container: Container) -> None:
    """Let a restart policy that waits to try again give up."""
    with container.lock:
        container.restarting.cancellation.cancel()
        if container.state.status == "restarting":
            container.set_state(status="exited")
            container.tell_ended()


def _mark(container: Container) -> None:
    """Note that the user wants the container ended, so that no restart policy brings it back."""
    with container.lock:
        if not container.state.stopped_by_user:
            container.set_state(stopped_by_user=True)
