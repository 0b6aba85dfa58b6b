"""Waiting for a container: the daemon answers a request when the condition holds."""

from __future__ import annotations

from lamina.client.transport import decode
from lamina.light import TYPE_CHECKING
from lamina.types import run_results

if TYPE_CHECKING:
    from typing import Any

    from lamina.client.wire import Reply


class Waiting(run_results.Waiting):
    """A wait that the daemon has noted."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._answer: dict[str, Any] | None = None

    def result(self, timeout: float | None = None) -> run_results.WaitResult:
        if self._answer is None:
            self._answer = self._read(timeout)
        error = self._answer.get("Error") or {}
        return run_results.WaitResult(int(self._answer["StatusCode"]), str(error.get("Message") or ""))

    def _read(self, timeout: float | None) -> dict[str, Any]:
        if timeout is not None and not self._reply.ready(timeout):
            raise TimeoutError(f"the container has not ended within {timeout:g} seconds")
        return dict(decode(self._reply.read()))

    def close(self) -> None:
        self._reply.close()
