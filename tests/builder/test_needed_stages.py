"""Which stages are built: all for Docker's classic output, only those that are needed for others."""

from __future__ import annotations

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.builder import BuildResult
from lamina.builder.builder import build as run_build
from lamina.builder.console import Console
from lamina.builder.context.source import from_directory
from lamina.errors import InvalidInput
from lamina.progress import ignore
from support.workshop import FILES, Workshop, listing

BROKEN = "COPY missing /\n"


class OnlyNeeded(Console):
    """Shows nothing, and asks for no stage that nobody uses."""

    every_stage = False


def build(workshop: Workshop, text: str, *, every_stage: bool = False, target: str = "") -> BuildResult:
    console = Console(ignore) if every_stage else OnlyNeeded(ignore)
    with from_directory(workshop.context(text, FILES)) as context:
        return run_build(context, BuildRequest(target=target), workshop.rooms, console=console)


def test_a_stage_that_nobody_uses_is_not_built(workshop: Workshop) -> None:
    text = f"FROM scratch AS unused\n{BROKEN}FROM scratch AS last\nCOPY a.txt /\n"
    result = build(workshop, text)
    assert set(listing(result.image)) == {"a.txt"}
    assert len(result.stages) == 1
    assert {step.stage for step in result.steps if step.outcome == "skipped"} == {0}
    with pytest.raises(InvalidInput, match="missing"):
        build(workshop, text, every_stage=True)


@pytest.mark.parametrize("use", ["COPY --from=used /a.txt /b", "COPY --from=1 /a.txt /b", "COPY --from=USED a.txt b"])
def test_a_stage_is_built_for_who_copies_from_it(workshop: Workshop, use: str) -> None:
    text = f"FROM scratch AS unused\n{BROKEN}FROM scratch AS used\nCOPY a.txt /\nFROM scratch\n{use}\n"
    assert set(listing(build(workshop, text).image)) == {"b"}


def test_a_stage_is_built_for_who_begins_with_it(workshop: Workshop) -> None:
    text = (
        f"ARG B=one\nFROM scratch AS one\nCOPY a.txt /\nFROM scratch AS two\n{BROKEN}FROM $B AS three\nCOPY run.sh /\n"
    )
    result = build(workshop, f"{text}FROM three\nCOPY dir /\n")
    assert set(listing(result.image)) == {"a.txt", "run.sh", "one", "two"}
    assert set(listing(build(workshop, text, target="three").image)) == {"a.txt", "run.sh"}


def test_a_stage_that_only_a_trigger_names_is_built_after_all(workshop: Workshop) -> None:
    parent = workshop.build("FROM scratch\nCOPY a.txt /\nONBUILD COPY --from=helper /h /from-helper\n", FILES)
    text = "FROM scratch AS below\nCOPY run.sh /h\nFROM below AS helper\nCOPY dir /\n"
    text += f"FROM scratch AS unused\n{BROKEN}FROM {parent.id}\nCOPY run.sh /\n"
    result = build(workshop, text)
    assert set(listing(result.image)) == {"a.txt", "run.sh", "from-helper"}
    assert len(result.stages) == 3


def test_a_failure_in_a_stage_that_is_needed_is_told(workshop: Workshop) -> None:
    with pytest.raises(InvalidInput, match="missing"):
        build(workshop, f"FROM scratch AS used\n{BROKEN}FROM scratch\nCOPY --from=used / /\n")
