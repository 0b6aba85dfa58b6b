"""Waiting for a container: the daemon has noted it when this begins, and answers when the time has come."""

from __future__ import annotations

from typing import Any

from lamina.client.process_documents import WaitResult
from lamina.client.transport import decode
from lamina.client.wire import Reply


class Waiting:
    """A wait that the daemon has noted. `result` blocks. A context manager that stops waiting."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._answer: dict[str, Any] | None = None

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def result(self, timeout: float | None = None) -> WaitResult:
        """Return the exit code, and why the container could not be started or removed, if so.

        Raise TimeoutError after `timeout` seconds, Cancelled, and Unavailable when the daemon went away.
        """
        if self._answer is None:
            self._answer = self._read(timeout)
        error = self._answer.get("Error") or {}
        return WaitResult(int(self._answer["StatusCode"]), str(error.get("Message") or ""))

    def _read(self, timeout: float | None) -> dict[str, Any]:
        if timeout is not None and not self._reply.ready(timeout):
            raise TimeoutError(f"the container has not ended within {timeout:g} seconds")
        return dict(decode(self._reply.read()))

    def close(self) -> None:
        """Stop waiting. May be called twice."""
        self._reply.close()
