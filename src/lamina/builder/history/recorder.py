"""What a classic build, a live one, or one of a program leaves in the history."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque

from lamina.api.build import BuildRequest
from lamina.api.build_history import BuildRecord, HistoryVertex
from lamina.api.build_steps import BuildStep
from lamina.errors import Cancelled, LaminaError
from lamina.progress import Aux, Message, Output, Report

_MOST_LOG = 256 << 10  # characters of a log; the end counts
_SECOND = 10**9


class Recorder:
    """Hear what a build tells, pass it on, and make the record of it. `ref` is the record's name. Thread-safe."""

    def __init__(self, request: BuildRequest, report: Report) -> None:
        self.ref = secrets.token_hex(12)
        self._report = report
        self._started = time.time_ns()
        self._guard = threading.Lock()  # the stages of a live build tell at once
        self._log = _Ending()
        self._step_logs: dict[tuple[int, int], _Ending] = {}  # by stage and number
        self._options = options_of(request)
        if request.live:
            report(Aux({"Ref": self.ref}))

    def hear(self, message: Message) -> None:
        """Take what the build tells."""
        with self._guard:
            if isinstance(message, Output):
                self._log.add(message.text)
            elif isinstance(message, Aux) and "Log" in message.value:
                part = message.value["Log"]
                self._step_logs.setdefault((part["Stage"], part["Number"]), _Ending()).add(part["Text"])
        self._report(message)

    def record(self, steps: tuple[BuildStep, ...], image: str, error: BaseException | None) -> BuildRecord:
        """Return the record of the build, which has just ended."""
        response = {"containerimage.digest": image} if image else {}
        failure = "" if error is None else error.message if isinstance(error, LaminaError) else type(error).__name__
        facts = error.facts if isinstance(error, LaminaError) else {}
        return BuildRecord(
            ref=self.ref,
            frontend="classic",
            options=self._options,
            started=self._started,
            completed=time.time_ns(),
            error=failure or ("the build failed" if error is not None else ""),
            code=0 if error is None else 1 if isinstance(error, Cancelled | KeyboardInterrupt) else 2,
            response=response,
            vertices=tuple(self._vertex(step) for step in steps if step.started),
            steps=steps,
            log=self._log.text,
            excerpt=str(facts.get("excerpt") or ""),
        )

    def _vertex(self, step: BuildStep) -> HistoryVertex:
        started = int(step.started * _SECOND)
        ended = started + int(step.seconds * _SECOND)
        name = f"[{step.stage_name or step.stage} {step.number}] {step.instruction}"
        error = "failed" if step.outcome == "failed" else ""
        log = self._step_logs.get((step.stage, step.number), _NOTHING).text
        return HistoryVertex(name, started, ended, step.outcome == "cached", error, log)


class _Ending:
    """The end of a text that may be long."""

    def __init__(self) -> None:
        self._texts: deque[str] = deque()
        self._size = 0

    def add(self, text: str) -> None:
        self._texts.append(text)
        self._size += len(text)
        while self._size > _MOST_LOG and len(self._texts) > 1:
            self._size -= len(self._texts.popleft())

    @property
    def text(self) -> str:
        return "".join(self._texts)


_NOTHING = _Ending()


def options_of(request: BuildRequest) -> dict[str, str]:
    """Return what a request asks for, by the parameters of `POST /build`."""
    query = request.to_query()
    return {name: value if isinstance(value, str) else ",".join(value) for name, value in query.items()}
