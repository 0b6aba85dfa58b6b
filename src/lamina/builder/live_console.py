"""A build as it happens, for those who draw it: each step's begin, text and end, of all stages at once.

Docker's classic output tells one stage after the other. `POST /build?live=1` sends values instead, which
`docs/build-api.md` lists.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from lamina.api.build import BuildRequest
from lamina.api.build_steps import BuildStep, PlannedStage
from lamina.builder.console import Console
from lamina.errors import LaminaError
from lamina.progress import Aux, Report


def console_of(request: BuildRequest, report: Report) -> Console:
    """Return the console that tells of a build as its request asks for."""
    if request.live:
        return LiveConsole(report)
    return Console(report, quiet=request.quiet, explain=request.explain)


class LiveConsole(Console):
    """Report values at once. `report` is called from the threads of all stages."""

    every_stage = False

    def __init__(self, report: Report, platform: str = "") -> None:
        super().__init__(report)
        self._platform = {"Platform": platform} if platform else {}
        self._current: dict[str, Any] | None = None

    def part(self, report: Report, platform: str = "") -> LiveConsole:
        """Return the console of a part. It does not wait for its turn with `report`."""
        return LiveConsole(self._report, platform or self._platform.get("Platform", ""))

    def planned(self, stages: Sequence[PlannedStage]) -> None:
        self._tell("Plan", {"Stages": [msgspec.to_builtins(stage) for stage in stages]})

    def begins(self, stage: int, number: int) -> None:
        self._current = {"Stage": stage, "Number": number}
        self._tell("Started", {**self._current, "Time": time.time()})

    def text(self, text: str, error: bool = False) -> None:
        if self._current is None:
            super().text(text, error)
        else:
            self._tell("Log", {**self._current, "Text": text, **({"Error": True} if error else {})})

    def explained(self, step: BuildStep) -> None:
        self._tell("Step", step.to_json())

    def step(self, number: int, total: int, instruction: str, expanded: str) -> None: ...

    def image(self, image_id: str) -> None: ...

    def cached(self) -> None: ...

    def running(self, container_id: str) -> None: ...

    def removed(self, container_id: str) -> None: ...

    def stage_done(self, image_id: str) -> None: ...

    def built(self, image_id: str, tags: list[str]) -> None:
        self._current = None
        self._show_findings()
        self._report(Aux({"ID": image_id}))

    def failed(self, error: LaminaError) -> None:
        self._current = None
        self._show_findings()
        place = {"Line": error.facts.get("line"), "Excerpt": error.facts.get("excerpt")}
        self._tell("Failed", {"Message": error.message, **{name: value for name, value in place.items() if value}})

    def _tell(self, name: str, members: dict[str, Any]) -> None:
        self._report(Aux({name: {**self._platform, **members}}))
