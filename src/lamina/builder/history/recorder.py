"""What a classic build, or one of a program, leaves in the history."""

from __future__ import annotations

import secrets
import time
from collections import deque

from lamina.api.build import BuildRequest
from lamina.api.build_history import BuildRecord, HistoryVertex
from lamina.api.build_steps import BuildStep
from lamina.errors import Cancelled, LaminaError
from lamina.progress import Message, Output, Report

_MOST_LOG = 256 << 10  # characters; the end counts
_SECOND = 10**9


class Recorder:
    """Hears what a build tells, passes it on, and makes the record of it."""

    def __init__(self, request: BuildRequest, report: Report) -> None:
        self._report = report
        self._started = time.time_ns()
        self._texts: deque[str] = deque()
        self._size = 0
        self._options = options_of(request)

    def hear(self, message: Message) -> None:
        """Take what the build tells."""
        if isinstance(message, Output):
            self._texts.append(message.text)
            self._size += len(message.text)
            while self._size > _MOST_LOG and len(self._texts) > 1:
                self._size -= len(self._texts.popleft())
        self._report(message)

    def record(self, steps: tuple[BuildStep, ...], image: str, error: BaseException | None) -> BuildRecord:
        """Return the record of the build, which has just ended."""
        response = {"containerimage.digest": image} if image else {}
        failure = "" if error is None else error.message if isinstance(error, LaminaError) else type(error).__name__
        return BuildRecord(
            ref=secrets.token_hex(12),
            frontend="classic",
            options=self._options,
            started=self._started,
            completed=time.time_ns(),
            error=failure or ("the build failed" if error is not None else ""),
            code=0 if error is None else 1 if isinstance(error, Cancelled | KeyboardInterrupt) else 2,
            response=response,
            vertices=tuple(_vertex(step) for step in steps if step.started),
            steps=steps,
            log="".join(self._texts),
        )


def _vertex(step: BuildStep) -> HistoryVertex:
    started = int(step.started * _SECOND)
    ended = started + int(step.seconds * _SECOND)
    name = f"[{step.stage_name or step.stage} {step.number}] {step.instruction}"
    return HistoryVertex(name, started, ended, step.outcome == "cached", "failed" if step.outcome == "failed" else "")


def options_of(request: BuildRequest) -> dict[str, str]:
    """Return what a request asks for, by the parameters of `POST /build`."""
    query = request.to_query()
    return {name: value if isinstance(value, str) else ",".join(value) for name, value in query.items()}
