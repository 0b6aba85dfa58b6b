"""Health checks: a command run in the container from time to time."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from pathlib import Path

import msgspec

from lamina.api.containers import ExecConfig
from lamina.cancellation import Cancellation
from lamina.containers.container import Container
from lamina.containers.record import Health, HealthResult
from lamina.containers.specs import SpecMaker
from lamina.errors import Conflict, LaminaError
from lamina.formats.frames import unframer
from lamina.formats.runconfig import Healthcheck
from lamina.formats.times import format_duration, format_time

_SECOND = 1_000_000_000
_LONGEST = 1e9  # seconds that can be waited
INTERVAL = TIMEOUT = 30 * _SECOND  # nanoseconds, Docker's defaults
START_INTERVAL = 5 * _SECOND
RETRIES = 3
OUTPUT = 4096  # bytes of a check's output that are kept
KEPT = 5  # results that inspect shows


class HealthChecks:
    """Runs the checks of all containers, each container's in a thread of its own."""

    def __init__(self, specs: SpecMaker) -> None:
        self._specs = specs

    def begin(self, container: Container) -> None:
        """Start checking a container that has just started, where it has a health check."""
        check = container.record.config.healthcheck
        if check is None or not check.test or check.test[0] == "NONE" or len(check.test) < 2:
            return
        container.checking = Cancellation()
        if container.state.health is None:
            with container.lock:
                container.set_state(health=Health())
        threading.Thread(
            target=self._run,
            args=(container, check, container.checking),
            name=f"lamina-health-{container.id[:12]}",
            daemon=True,
        ).start()

    def _run(self, container: Container, check: Healthcheck, over: Cancellation) -> None:
        began = time.monotonic_ns()
        while True:
            starting = time.monotonic_ns() - began < check.start_period
            health = container.state.health or Health()
            wait = check.interval or INTERVAL
            if starting and health.status == "starting":
                wait = check.start_interval or min(START_INTERVAL, wait)
            if over.wait(min(wait / _SECOND, _LONGEST)):
                return
            if container.state.status == "paused":
                continue
            result = self._probe(container, check)
            if over.cancelled:
                return
            self._note(container, check, result, starting=time.monotonic_ns() - began < check.start_period)

    def _probe(self, container: Container, check: Healthcheck) -> HealthResult:
        start = time.time_ns()
        timeout = min((check.timeout or TIMEOUT) / _SECOND, _LONGEST)
        try:
            code, output = self._execute(container, check, timeout)
        except LaminaError as error:
            code, output = error.facts.get("exit_code", -1), error.message
        except OSError as error:  # the container is going away
            code, output = -1, str(error)
        if code is None:
            allowed = format_duration(check.timeout or TIMEOUT)
            code, output = -1, f"Health check exceeded timeout ({allowed}){output and ': '}{output}"
        return HealthResult(format_time(start), format_time(time.time_ns()), code, output)

    def _execute(self, container: Container, check: Healthcheck, timeout: float) -> tuple[int | None, str]:
        """Return exit code and output; the code is None when the check took too long. Publish the events of an exec."""
        command = check.test[1:] if check.test[0] == "CMD" else (*self._shell(container), check.test[1])
        task = container.running_task()
        root = Path(f"/proc/{container.state.pid}/root")
        spec = self._specs.exec(container, ExecConfig(cmd=tuple(command)), root)
        exec_id = secrets.token_hex(32)
        process = task.exec(exec_id, spec)
        container.publish(f"exec_create: {' '.join(command)}", execID=exec_id)
        try:
            with process.attach(stdin=False) as connection:
                process.start()
                # What the start took on a busy machine is not the command's (moby daemon/health.go).
                deadline = time.monotonic() + timeout
                container.publish(f"exec_start: {' '.join(command)}", execID=exec_id)
                output = _read(connection, deadline)
        except BaseException:
            process.delete()
            raise
        status = process.wait(max(0.0, deadline - time.monotonic()))
        code = status.code if status is not None else None
        if status is None:
            with contextlib.suppress(Conflict):  # it has just ended by itself
                process.kill()
            status = process.wait(5)
        if status is not None:
            container.publish("exec_die", execID=exec_id, exitCode=str(status.code))
        return code, output

    def _shell(self, container: Container) -> tuple[str, ...]:
        return container.record.config.shell or ("/bin/sh", "-c")

    def _note(self, container: Container, check: Healthcheck, result: HealthResult, *, starting: bool) -> None:
        with container.lock:
            before = container.state.health or Health()
            if container.state.status != "running":
                return
            after = judged(before, result, check.retries or RETRIES, starting=starting)
            container.set_state(health=after)
        if after.status != before.status:
            container.publish(f"health_status: {after.status}")


def judged(before: Health, result: HealthResult, retries: int, *, starting: bool) -> Health:
    """Return the health after one more result: failures in the start period do not count (moby daemon/health.go)."""
    log = (*before.log, result)[-KEPT:]
    if result.exit_code == 0:
        return Health("healthy", 0, log)
    if starting and before.status == "starting":
        return msgspec.structs.replace(before, log=log)
    streak = before.failing_streak + 1
    return Health("unhealthy" if streak >= retries else before.status, streak, log)


def _read(connection: socket.socket, deadline: float) -> str:
    """Return the first `OUTPUT` bytes of the output until its end or the deadline, without the frames around them.

    A command that says more is not heard any further, so its output never piles up here; once the caller closes the
    connection, the monitor drops the rest. "..." then marks the cut, as in moby (daemon/health.go, limitedBuffer).
    """
    output = bytearray()
    unframed = unframer()
    while len(output) <= OUTPUT and (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            data = connection.recv(65536)
        except TimeoutError:
            break
        if not data:
            break
        output += unframed(data)
    text = bytes(output[:OUTPUT]).decode(errors="replace")
    return f"{text}..." if len(output) > OUTPUT else text
