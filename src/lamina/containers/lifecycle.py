"""A container as a state machine: every change of its state happens here, on request or because its process ended.

`states` has the states and says which verb is refused in which.
"""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from lamina.containers import stop as stopping
from lamina.containers.catalog import Catalog
from lamina.containers.container import Container, Restarting
from lamina.containers.health import HealthChecks
from lamina.containers.image_mounts import as_binds, mount_images, remove_images, unmount_images
from lamina.containers.log_drivers import log_spec
from lamina.containers.rooms import Rooms
from lamina.containers.specs import SpecMaker, donor_of, sandbox_of, startable_sandbox_of
from lamina.errors import Conflict, Internal, LaminaError, NotFound, NotModified
from lamina.formats.times import format_time, parse_time
from lamina.runtime.process import ExitStatus
from lamina.runtime.task import Task
from lamina.sandbox.sandboxes import Sandboxes
from lamina.sandbox.spec import Defaults


class Lifecycle:
    """Start, pause, restart and remove containers, and record how their processes end. Thread-safe."""

    def __init__(self, rooms: Rooms, catalog: Catalog, defaults: Defaults, specs: SpecMaker) -> None:
        self._rooms = rooms
        self._catalog = catalog
        self._sandboxes = Sandboxes(rooms, defaults)
        self.checks = HealthChecks(specs)
        self._closed = False

    def close(self) -> None:
        """Take no ends of processes any more, and end the starts that hang. Running containers stay."""
        self._closed = True
        containers = self._catalog.all()
        for container in containers:
            container.checking.cancel()
            container.restarting.cancellation.cancel()
        for container in containers:
            if container.task is not None and container.state.status != "running":  # it may be on its way
                stopping.end_start(container)

    def prepare(self, container: Container) -> Task:
        """Return the container's task with its monitor. It need not run for clients to attach to it."""
        with container.requested():
            if container.task is None:
                container.task = self._sandboxes.create_task(
                    sandbox_of(container),
                    log_spec(container),
                    partial(self.ended, container),
                    partial(self.out_of_memory, container),
                )
            return container.task

    def start(self, container: Container) -> None:
        """Start the container's process.

        Raise NotModified when it runs, Conflict when it is paused or being removed, and what `failure.explain` says
        when its command cannot be run; `facts["exit_code"]` is 126, 127 or 128 then.
        """
        with container.lock:
            container.check("start")
            container.restarting.cancellation.cancel()
            container.restarting = Restarting()
            if container.record.restart_count:
                container.change(restart_count=0)  # its policy counts from here on
            self._start(container)

    def _start(self, container: Container) -> None:
        """Start the process of a container that may be started. `lock` is held."""
        started_at = time.time_ns()  # before its first output, which clients look for from that time on, as with moby
        try:
            pid = self._launch(container)
        except Exception as error:  # whatever it was: those who wait for the container must be told
            self._record_failure(container, error)
            raise
        container.set_state(
            status="running",
            pid=pid,
            exit_code=0,
            error="",
            oom_killed=False,
            started_at=format_time(started_at),
            health=None,
            stopped_by_user=False,
        )
        container.publish("start")
        self.checks.begin(container)

    def _launch(self, container: Container) -> int:
        """Start the container's sandbox, and return its process ID on the host. After a failure nothing is held."""
        self._share_name(container)
        with ExitStack() as undo:
            undo.callback(self._release, container)
            spec = startable_sandbox_of(container, lambda: self._rooms.networks, self._catalog.get)
            spec = dataclasses.replace(spec, mounts=as_binds(self._rooms.snapshots, container))
            pid = self._sandboxes.start(spec, lambda: (self.prepare(container), self._root(container)))
            undo.pop_all()
        return pid

    def _share_name(self, container: Container) -> None:
        """Give a container that shares another's network the names of that one (moby initializeNetworking)."""
        reference = donor_of(container.record.host_config.network_mode)
        if reference:
            donor, own = self._catalog.get(reference).record.config, container.record.config
            names = {"hostname": donor.hostname, "domainname": donor.domainname}
            if (own.hostname, own.domainname) != (donor.hostname, donor.domainname):
                container.change(config=replace(own, **names))

    def _root(self, container: Container) -> Path:
        snapshot = self._rooms.snapshots.get(container.id)
        if container.mounted:
            return snapshot.directories.merged
        root = snapshot.mount(container.userns)
        try:
            mount_images(self._rooms.snapshots, container)
        except BaseException:
            snapshot.unmount()
            raise
        container.mounted = True
        return root

    def _release(self, container: Container) -> None:
        """Give back all that an ended or never started process had. A second call does nothing."""
        task, container.task = container.task, None
        self._sandboxes.release(sandbox_of(container), task)
        if container.mounted:
            container.mounted = False
            unmount_images(self._rooms.snapshots, container)
            self._rooms.snapshots.get(container.id).unmount()

    def _record_failure(self, container: Container, error: Exception) -> None:
        reason = error if isinstance(error, LaminaError) else Internal(str(error))
        status = "exited" if container.state.status == "restarting" else container.state.status
        container.set_state(status=status, exit_code=reason.facts.get("exit_code", 128), error=reason.message)
        if container.record.host_config.auto_remove:
            threading.Thread(target=self.remove_itself, args=(container,), daemon=True).start()

    def out_of_memory(self, container: Container) -> None:
        """Note that the kernel killed a process of the container for want of memory."""
        container.set_state(oom_killed=True)
        container.publish("oom")

    def ended(self, container: Container, status: ExitStatus) -> None:
        """Take the end of the container's process: restart it, remove it, or tell those who wait.

        A container that removes itself tells its exit when it is gone, so that its name is free by then.
        """
        with container.lock:
            if not container.state.running or self._closed:
                return
            seconds = max(0.0, (status.finished_at - parse_time(container.state.started_at)) / 1e9)
            policy = container.restarting
            again = not container.state.stopped_by_user and policy.again(container.record, status.code, seconds)
            if again:
                container.change(restart_count=container.record.restart_count + 1)
            else:
                container.restarting = Restarting()
            self._settle(container, status, seconds, "restarting" if again or container.between_runs else "exited")
            if again or container.between_runs or not container.record.host_config.auto_remove:
                container.tell_ended()
                if again:
                    self._restart_later(container, policy)
                return
        self.remove_itself(container)

    def _settle(self, container: Container, status: ExitStatus, seconds: float, word: str) -> None:
        """Record the end of a process that ran for `seconds`, and give everything back.

        `word` is the container's status from now on. Nobody sees another one in between: those who follow a container
        leave it once it has exited.
        """
        container.checking.cancel()
        self._release(container)
        health = container.state.health
        container.set_state(
            health=replace(health, status="unhealthy") if health else None,  # as dockerd calls what is not checked
            status=word,
            pid=0,
            exit_code=status.code,
            oom_killed=status.oom_killed,
            finished_at=format_time(status.finished_at),
            error="the container's monitor was killed" if status.lost else "",
        )
        container.publish("die", exitCode=str(status.code), execDuration=str(int(seconds)))

    def _restart_later(self, container: Container, progress: Restarting) -> None:
        def restart() -> None:
            if progress.cancellation.wait(progress.delay) or self._closed:
                return
            try:
                self.start_again(container)
            except LaminaError as error:
                with container.lock:
                    container.restarting = Restarting()
                    container.set_state(status="exited", error=str(error), finished_at=format_time(time.time_ns()))
                    container.tell_ended()

        threading.Thread(target=restart, daemon=True).start()

    def start_again(self, container: Container) -> None:
        """Start the container as its restart policy asks, unless somebody stopped, removed or started it meanwhile."""
        with container.lock:
            stopped = container.removed or container.restarting.cancellation.cancelled
            if not stopped and container.state.status != "running":
                self._start(container)

    def pause(self, container: Container) -> None:
        """Stop the container's processes where they are. Raise Conflict when it does not run or is paused."""
        with container.requested():
            container.running_task("pause").pause()
            container.set_state(status="paused")
        container.publish("pause")

    def unpause(self, container: Container) -> None:
        """Let a paused container go on. Raise Conflict when it is not paused."""
        with container.requested():
            container.running_task("unpause").resume()
            container.set_state(status="running")
        container.publish("unpause")

    def restart(self, container: Container, timeout: int | None = None, stop_signal: str = "") -> None:
        """Stop the container where it runs, and start it. Raise what `stop.stop` and `start` raise.

        Meanwhile it counts as restarting, so that followers stay, and one with `--rm` is not removed (moby
        daemon/restart.go).
        """
        container.between_runs = container.state.running
        try:
            stopping.stop(container, timeout, stop_signal)
            with suppress(NotModified):  # somebody else was quicker
                self.start(container)
        finally:
            container.between_runs = False
        container.publish("restart")

    def remove(self, container: Container, *, force: bool = False, volumes: bool = False) -> None:
        """Remove the container; with `force` a running one, with `volumes` also its anonymous volumes.

        With `force` a start that hangs is ended, too, and it does not matter who removes the container first: one that
        was run with `--rm` removes itself when it is killed. Raise Conflict for a running one, NotFound for one that
        somebody else removed meanwhile.
        """
        if force:
            stopping.end_start(container)
            if container.state.running:
                stopping.end(container)
        with container.requested():
            if not container.removed:
                container.check("remove")
                self._take_away(container, volumes)
            elif not force:
                raise NotFound(f"No such container: {container.id}", container=container.id)

    def remove_itself(self, container: Container) -> None:
        """Remove a container that was run with `--rm`, with its anonymous volumes."""
        with container.lock:
            if not container.removed and not container.state.running:
                self._take_away(container, volumes=True)

    def _take_away(self, container: Container, volumes: bool) -> None:
        container.restarting.cancellation.cancel()
        self._release(container)
        self._rooms.snapshots.remove(container.id)
        remove_images(self._rooms.snapshots, container.id, container.record.mounts)
        container.removed = True  # from here on nothing keeps its record any more
        self._catalog.drop(container)
        shutil.rmtree(container.directory, ignore_errors=True)
        for point in container.record.mounts:
            if volumes and point.type == "volume" and point.anonymous:
                with suppress(NotFound, Conflict):  # another container may have taken it over
                    self._rooms.volumes.remove(point.name)
        container.tell_removed()
        container.publish("destroy")
