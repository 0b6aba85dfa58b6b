"""The builds of programs and classic clients, each of which leaves a record, and the verbs on all records."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lamina.api.build import BuildRequest
from lamina.api.build_history import BuildRecord
from lamina.builder.builder import BuildResult
from lamina.builder.history.recorder import Recorder
from lamina.builder.history.records import BuildHistory
from lamina.builder.step_log import StepLog
from lamina.progress import Report
from lamina.types import builds

_LOG = logging.getLogger("lamina.engine")


class RecordedBuilds(builds.Builds):
    """The part of `Builds` that keeps records."""

    def __init__(self, history: BuildHistory) -> None:
        self._history = history

    def recorded(self, request: BuildRequest, report: Report, build: Callable[..., BuildResult]) -> BuildResult:
        """Build, and leave a record in the history, also of a build that fails.

        `build` takes a report and a `log` of its steps. Raise what it raises.
        """
        recorder, log = Recorder(request, report), StepLog()
        try:
            result = build(recorder.hear, log=log)
        except BaseException as error:
            self._keep(recorder.record(log.done(), "", error))
            raise
        self._keep(recorder.record(result.steps, str(result.image.id), None))
        return result

    def _keep(self, record: BuildRecord) -> None:
        """Write a record. A build does not fail for want of one."""
        try:
            self._history.write(record)
        except OSError as error:
            _LOG.warning("the record of build %s cannot be kept: %s", record.ref, error)

    def history(self) -> tuple[BuildRecord, ...]:
        return tuple(self._history.all())

    def record(self, ref: str) -> BuildRecord:
        return self._history.get(ref)

    def remove_record(self, ref: str) -> None:
        self._history.remove(ref)

    def keep_record(self, record: BuildRecord) -> BuildRecord:
        return self._history.take(record.encode())
