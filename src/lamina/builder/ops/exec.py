"""Running a command on files: in a sandbox as RUN has it, with what it changed as new layers.

Each mount with an output is a stack of layers afterwards, with one more than before.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from lamina.api.containers import Config, HostConfig
from lamina.builder.console import new_id, short
from lamina.builder.graph.operations import Exec
from lamina.builder.ops.exec_mounts import ExecMounting, ExecMounts
from lamina.builder.ops.outside import Outside
from lamina.builder.ops.result import Result, write_layer
from lamina.builder.run.command import StepTask, check_ended_well
from lamina.builder.run.container import ContainerRunner
from lamina.builder.run.networks import StepNetworks
from lamina.builder.run.step_files import StepFiles
from lamina.builder.stage import DEFAULT_PATH
from lamina.cancellation import Cancellation
from lamina.errors import CommandFailed, Forbidden
from lamina.sandbox.spec import SandboxSpec
from lamina.store.store import Store

_NETWORKS = {"default": "bridge", "host": "host", "none": "none"}


@dataclass(frozen=True, slots=True)
class Commands:
    """Runs the commands of one build. Thread-safe."""

    store: Store
    runner: ContainerRunner
    networks: StepNetworks
    outside: Outside
    cancellation: Cancellation

    def run(self, operation: Exec, inputs: Sequence[Result], show: Callable[[str, bool], None]) -> list[Result]:
        """Run a command, and return the outputs in order. `show` hears what it writes.

        Raise Forbidden for what the client may not ask for, CommandFailed, Problem, InvalidInput, Cancelled.
        """
        check_entitled(operation, self.outside)
        id = new_id()
        folder = self.runner.folder / f"build-{id}"
        with ExitStack() as closing:
            folder.mkdir(parents=True, mode=0o700)
            closing.callback(shutil.rmtree, folder, ignore_errors=True)
            files = StepFiles(folder, self.runner.caches, closing)
            outside, userns = self.outside, self.runner.defaults.userns
            mounting = ExecMounting(self.store, self.runner.driver, files, outside.secrets, outside.agents, userns)
            mounts = mounting.mount(id, operation, inputs)
            host = self._host_config(operation, mounts, show)
            network = ""
            if host.network_mode not in ("host", "none"):
                shared = self.networks.use(self.runner.rooms.networks, host.network_mode, id, userns)
                network = closing.enter_context(shared)
            spec = SandboxSpec(
                id=id,
                folder=folder,
                config=_config(operation, mounts, short(id)),
                host=host,
                mounts=tuple(mounts.points.mounts),
                network_id=network,
                userns=userns,
            )
            task = StepTask(self.runner.sandboxes, spec)
            closing.callback(task.close)
            self._run(operation, task, spec, mounts, show)
            return self._outputs(operation, inputs, mounts)

    def _run(
        self,
        operation: Exec,
        task: StepTask,
        spec: SandboxSpec,
        mounts: ExecMounts,
        show: Callable[[str, bool], None],
    ) -> None:
        status = task.run(spec, mounts.root, show, self.cancellation)
        try:
            check_ended_well(status, operation.exit_codes)
        except CommandFailed as error:
            command = " ".join(operation.arguments)
            code = error.facts.get("exit_code")
            detail = f": {error.message}" if error.message else ""
            message = f"The command '{command}' returned a non-zero code: {code}{detail}"
            raise CommandFailed(message, exit_code=code, command=command) from error

    def _host_config(self, operation: Exec, mounts: ExecMounts, show: Callable[[str, bool], None]) -> HostConfig:
        host = HostConfig(
            network_mode=_NETWORKS[operation.network],
            extra_hosts=tuple(f"{name}:{address}" for name, address in operation.hosts),
            ulimits=operation.ulimits,
            cgroup_parent=operation.cgroup_parent,
            shm_size=mounts.shared_memory,
            privileged=operation.insecure,
            readonly_rootfs=operation.root.read_only,
            init=False,
        )
        return self.runner.fitting(host, lambda warning: show(f"[Warning] {warning}\n", True))

    def _outputs(self, operation: Exec, inputs: Sequence[Result], mounts: ExecMounts) -> list[Result]:
        outputs: dict[int, Result] = {}
        root = operation.root.input
        time_ns = inputs[root].time_ns if root is not None else 0
        for number, mount in enumerate(operation.mounts):
            if mount.output is not None and number in mounts.snapshots:
                below = inputs[mount.input] if mount.input is not None else Result(time_ns=time_ns)
                if mount.read_only:
                    outputs[mount.output] = below
                    continue
                layer = write_layer(self.store, mounts.snapshots[number].write_diff)
                outputs[mount.output] = Result((*below.layers, layer), below.time_ns, below)
        return [outputs[number] for number in sorted(outputs)]


def check_entitled(operation: Exec, outside: Outside) -> None:
    """Raise Forbidden for a command that needs more than the client and the daemon allow."""
    needs = {"security.insecure": operation.insecure, "network.host": operation.network == "host"}
    for name, is_needed in needs.items():
        if is_needed and not outside.allows(name):
            raise Forbidden(f"{name} is not allowed", advice=f"Allow it: --allow {name}.", entitlement=name)


def _config(operation: Exec, mounts: ExecMounts, name: str) -> Config:
    environment = [*operation.environment, *operation.proxies]
    if not any(variable.startswith("PATH=") for variable in environment):
        environment.append(f"PATH={DEFAULT_PATH}")
    return Config(
        hostname=operation.hostname or name,
        user=operation.user,
        env=(*environment, *mounts.points.environment),
        working_dir=operation.directory or "/",
        cmd=operation.arguments,
    )
