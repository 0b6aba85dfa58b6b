"""Changes of a container's state."""

from __future__ import annotations

from lamina.containers.container import Container
from lamina.errors import Conflict


def pause(container: Container) -> None:
    """Stop the container's processes where they are. Raises Conflict when it does not run or is paused."""
    with container.lock:
        task = container.running_task()
        if container.state.status == "paused":
            raise Conflict(f"Container {container.id} is already paused", container=container.id)
        task.pause()
        container.set_state(status="paused")
    container.publish("pause")


def unpause(container: Container) -> None:
    """Let a paused container go on. Raises Conflict when it is not paused."""
    with container.lock:
        if container.state.status != "paused":
            raise Conflict(f"Container {container.id} is not paused", container=container.id)
        container.running_task().resume()
        container.set_state(status="running")
    container.publish("unpause")
