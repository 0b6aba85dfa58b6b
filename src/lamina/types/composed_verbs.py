"""The verbs on containers that are made of others, written once for engines and clients."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.light import TYPE_CHECKING
from lamina.types.containers import Containers

if TYPE_CHECKING:
    from lamina.api.containers import Config, HostConfig, NetworkingConfig
    from lamina.types import run_results
    from lamina.types.attached_runs import ContainerGroup


class ComposedVerbs(Containers):
    """The verbs `run`, `group` and `wait`; the class that inherits them has the others."""

    def run(
        self,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
        *,
        name: str | None = None,
        stdin: bytes = b"",
        timeout: float | None = None,
        cancellation: Cancellation = NEVER,
    ) -> run_results.Completed:
        from msgspec.structs import replace

        from lamina.types.attached_runs import run_attached

        streams = {"attach_stdout": True, "attach_stderr": True}
        if stdin:
            streams |= {"attach_stdin": True, "open_stdin": True, "stdin_once": True}
        with self.group() as group:
            container = group.create(name, replace(config, **streams), host_config, networking)
            with self.attach(container.id, stdin=bool(stdin)) as stream:
                return run_attached(self, container.id, stream, stdin, timeout, cancellation)

    def group(self) -> ContainerGroup:
        from lamina.types.attached_runs import ContainerGroup

        return ContainerGroup(self)

    def wait(
        self,
        reference: str,
        condition: str = "not-running",
        *,
        timeout: float | None = None,
        cancellation: Cancellation = NEVER,
    ) -> run_results.WaitResult:
        with self.waiting(reference, condition, cancellation=cancellation) as waiting:
            return waiting.result(timeout)
