"""Why a step had to run: what differs from the nearest earlier step, by name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from lamina.api.build import BuildRequest
from lamina.api.build_steps import BuildStep, Difference, explained
from lamina.builder.cache.explain import MOST_DIFFERENCES
from lamina.builder.context.source import from_directory
from support.context import write_context
from support.workshop import FILES, Workshop

TEXT = "FROM scratch\nARG V=1\nCOPY a.txt dir /app/\nWORKDIR /w\n"


def built(workshop: Workshop, text: str, changes: dict[str, Any] | None = None, **options: Any) -> list[BuildStep]:
    folder = workshop.context(text, {} if (workshop.folder / "context").exists() else FILES)
    write_context(folder, changes or {})
    request = BuildRequest(explain=True, tags=("explained",), **options)
    return list(workshop.run(from_directory(folder), request).steps)


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_first_builds_have_nothing_to_compare_with(workshop: Workshop) -> None:
    steps = built(workshop, TEXT)
    assert [step.outcome for step in steps] == ["cached", "run", "run", "run"]
    assert all(step.differences == (Difference("new"),) for step in steps[1:])
    assert [(step.number, step.line, step.instruction) for step in steps[2:]] == [
        (2, 3, "COPY a.txt dir /app/"),
        (3, 4, "WORKDIR /w"),
    ]


def test_the_file_is_named_with_both_digests(workshop: Workshop) -> None:
    built(workshop, TEXT)
    steps = built(workshop, TEXT, {"dir/two": "22"})
    assert [step.outcome for step in steps] == ["cached", "cached", "run", "run"]
    assert steps[2].differences == (Difference("file", "/app/two", digest("2"), digest("22")),)
    assert [difference.kind for difference in steps[3].differences] == ["base"]


def test_files_come_and_go_and_change_their_mode(workshop: Workshop) -> None:
    built(workshop, TEXT)
    folder = workshop.folder / "context"
    (folder / "dir/one").unlink()
    (folder / "a.txt").chmod(0o600)
    differences = built(workshop, TEXT, {"dir/three": "3"})[2].differences
    assert differences == (
        Difference("mode", "/app/a.txt", "644", "600"),
        Difference("file", "/app/one", digest("1"), ""),
        Difference("file", "/app/three", "", digest("3")),
    )


def test_the_argument_the_instruction_and_the_base_are_named(shop: Workshop) -> None:
    text = "FROM base\nARG V\nENV E=1\nRUN echo $V > /v\n"
    built(shop, text, build_args={"V": "1"}, network="none")
    assert built(shop, text, build_args={"V": "2"}, network="none")[3].differences == (
        Difference("argument", "V", "1", "2"),
    )
    other = built(shop, text.replace("E=1", "E=2"), build_args={"V": "2"}, network="none")
    assert other[2].differences[0] == Difference("instruction", "", "ENV E=1", "ENV E=2")
    assert other[3].differences == (Difference("environment", "E", "1", "2"),)
    other = built(shop, text.replace("/v", "/w"), build_args={"V": "2"}, network="none")
    assert [difference.kind for difference in other[3].differences] == ["instruction", "command"]
    before = str(shop.images.get("base").id)
    shop.images.tag("explained", "base")
    first = built(shop, text, build_args={"V": "2"}, network="none")[0]
    assert first.differences == (Difference("image", "", before, str(shop.images.get("base").id)),)


def test_what_is_lost_or_not_asked_for_is_said(workshop: Workshop) -> None:
    text = "FROM scratch\nCOPY a.txt /\n"
    image = built(workshop, text)[1].image
    workshop.images.remove("explained")
    assert built(workshop, text)[1].differences == (Difference("lost", before=image),)
    assert built(workshop, text, no_cache=True)[1].differences == (Difference("no-cache"),)


def test_stages_that_are_not_built_are_skipped(workshop: Workshop) -> None:
    text = "FROM scratch AS one\nCOPY a.txt /\nFROM scratch AS two\nCOPY dir /d\n"
    steps = built(workshop, text, target="one")
    assert [(step.stage_name, step.outcome) for step in steps] == [
        ("one", "cached"),
        ("one", "run"),
        ("two", "skipped"),
        ("two", "skipped"),
    ]


def test_long_lists_end_with_how_many_are_left_out(workshop: Workshop) -> None:
    text = "FROM scratch\nCOPY . /all/\n"
    built(workshop, text)
    step = built(workshop, text, {f"new/{number:03}": "" for number in range(MOST_DIFFERENCES + 4)})[1]
    assert (len(step.differences), step.omitted) == (MOST_DIFFERENCES, 5)
    assert explained([step]).endswith("and 5 more differences\n")


def test_a_build_that_nobody_asks_to_explain_compares_nothing(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(workshop, TEXT)
    asked: list[object] = []
    monkeypatch.setattr("lamina.builder.build_run.differences", lambda *values: asked.append(values))
    write_context(workshop.folder / "context", {"a.txt": "other"})
    steps = workshop.run(from_directory(workshop.folder / "context")).steps
    assert [step.outcome for step in steps] == ["cached", "cached", "run", "run"]
    assert asked == []


def test_steps_are_told_as_values_and_read_as_sentences(workshop: Workshop) -> None:
    built(workshop, TEXT)
    steps = built(workshop, TEXT, {"a.txt": "other\n"})
    told = [step for value in workshop.aux if isinstance(step := value.get("Step"), dict)]
    assert [BuildStep.from_json(step) for step in told] == steps
    before, after = digest("alpha\n"), digest("other\n")
    assert f"        file /app/a.txt was {before}, is {after}\n" in explained(steps)


def test_times_do_not_differ(workshop: Workshop, tmp_path: Path) -> None:
    built(workshop, TEXT)
    os.utime(workshop.folder / "context/a.txt", (1, 1))
    assert {step.outcome for step in built(workshop, TEXT)} == {"cached"}
