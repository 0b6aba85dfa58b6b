"""A build that tells of its steps as they happen: a plan first, and no stage that waits for its turn to speak."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.builder import build as run_build
from lamina.builder.context.source import from_directory
from lamina.builder.history.recorder import Recorder
from lamina.builder.step_log import StepLog
from lamina.errors import InvalidInput, LaminaError
from lamina.progress import Aux, Message, Output
from support.workshop import FILES, Workshop

TEXT = """FROM scratch AS one
COPY a.txt /
FROM scratch AS unused
COPY dir /
FROM scratch
COPY --from=one /a.txt /b
"""


class Heard:
    """The values that a build tells, by their names."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._guard = threading.Lock()

    def __call__(self, message: Message) -> None:
        with self._guard:
            self.messages.append(message)

    def all(self, name: str) -> list[Any]:
        return [item.value[name] for item in self.messages if isinstance(item, Aux) and name in item.value]

    @property
    def names(self) -> list[str]:
        return [next(iter(item.value)) for item in self.messages if isinstance(item, Aux)]


def live(workshop: Workshop, text: str, heard: Heard, log: StepLog | None = None) -> None:
    with from_directory(workshop.context(text, FILES)) as context:
        run_build(context, BuildRequest(live=True, explain=True), workshop.rooms, heard, log=log)


def test_the_plan_comes_first_with_what_stages_are_made_from(workshop: Workshop) -> None:
    heard = Heard()
    live(workshop, TEXT, heard)
    assert heard.names[0] == "Plan"
    assert heard.names[-1] == "ID"
    (plan,) = heard.all("Plan")
    assert [(stage.get("Needs", ()), stage.get("Skipped", False)) for stage in plan["Stages"]] == [
        ((), False),
        ((), True),
        ((0,), False),
    ]
    assert plan["Stages"][0]["Instructions"] == ("FROM scratch AS one", "COPY a.txt /")
    started = [(step["Stage"], step["Number"]) for step in heard.all("Started")]
    assert sorted(started) == [(0, 0), (0, 1), (2, 0), (2, 1)]
    assert {(step["Stage"], step["Number"], step["Outcome"]) for step in heard.all("Step")} == {
        (0, 0, "cached"),
        (0, 1, "run"),
        (2, 0, "cached"),
        (2, 1, "run"),
    }
    assert [step["Needs"] for step in heard.all("Step") if (step["Stage"], step["Number"]) == (2, 0)] == [(0,)]


def test_a_failure_names_its_line_and_shows_it(workshop: Workshop) -> None:
    heard = Heard()
    with pytest.raises(InvalidInput):
        live(workshop, "FROM scratch\nCOPY missing /\n", heard)
    (failure,) = heard.all("Failed")
    assert failure["Line"] == 2
    assert "COPY missing /" in failure["Excerpt"]
    assert heard.all("Step")[-1]["Outcome"] == "failed"


def test_a_live_build_leaves_a_record_with_a_log_for_each_step(workshop: Workshop) -> None:
    heard, log = Heard(), StepLog()
    recorder = Recorder(BuildRequest(live=True), heard)
    assert heard.all("Ref") == [recorder.ref]
    try:
        with from_directory(workshop.context("FROM scratch\nCOPY missing /\n", FILES)) as context:
            run_build(context, BuildRequest(live=True), workshop.rooms, recorder.hear, log=log)
    except LaminaError as error:
        recorder.hear(Aux({"Log": {"Stage": 0, "Number": 1, "Text": "said by the step"}}))
        recorder.hear(Output("said by nobody"))
        record = recorder.record(log.done(), "", error)
    assert record.ref == recorder.ref
    assert [vertex.log for vertex in record.vertices] == ["", "said by the step"]
    assert "said by nobody" in record.log
    assert "COPY missing /" in record.excerpt
