"""What is kept of a container: one document in the store, replaced as a whole when something changes."""

from __future__ import annotations

import msgspec

from lamina.api.containers import Config, EndpointConfig, HostConfig
from lamina.containers.states import RUNNING
from lamina.sandbox.spec import MountPoint

NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which Docker's clients know


class HealthResult(msgspec.Struct, frozen=True, rename="pascal"):
    """One health check; times are RFC3339Nano."""

    start: str
    end: str
    exit_code: int
    output: str


class Health(msgspec.Struct, frozen=True, rename="pascal"):
    """The state of health checks: `status` is starting, healthy or unhealthy; `log` has the newest five results."""

    status: str = "starting"
    failing_streak: int = 0
    log: tuple[HealthResult, ...] = ()


class State(msgspec.Struct, frozen=True, rename="pascal"):
    """How a container is; see `lamina.types.ContainerState`."""

    status: str = "created"
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    started_at: str = NEVER
    finished_at: str = NEVER
    health: Health | None = None
    stopped_by_user: bool = False

    @property
    def health_status(self) -> str:
        return self.health.status if self.health else ""

    @property
    def running(self) -> bool:
        return self.status in RUNNING


class Record(msgspec.Struct, frozen=True, rename="pascal"):
    """A container. `image` is the image's id (sha256:…), `config.image` the name it was asked for by."""

    id: str
    name: str
    created: str
    image: str
    platform: str
    config: Config
    host_config: HostConfig
    networks: dict[str, EndpointConfig]
    mounts: tuple[MountPoint, ...]
    driver: str
    state: State = State()
    restart_count: int = 0

    @property
    def command(self) -> tuple[str, ...]:
        """Return what is run: the entrypoint, then the command."""
        return (*(self.config.entrypoint or ()), *(self.config.cmd or ()))
