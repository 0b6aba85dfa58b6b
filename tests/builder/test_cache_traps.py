"""Changes that a cache may judge wrongly: for each, which steps must run again and which must not."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.builder import BuildResult
from lamina.builder.context.source import BuildContext, from_archive, from_directory
from lamina.client.context_tar import directory_context
from support.cache_traps import FILES, RUN_TRAPS, TRAPS, Trap
from support.workshop import Workshop, listing


def opened(folder: Path, front: str) -> BuildContext:
    """The context as the front of that name has it: read in place, or sent as a tar."""
    if front == "directory":
        return from_directory(folder)
    sent = directory_context(str(folder))
    return from_archive(io.BytesIO(b"".join(sent.chunks or ())), folder.parent)


def built(workshop: Workshop, trap: Trap, front: str, number: int) -> BuildResult:
    folder = workshop.folder / "context"
    (folder / "Dockerfile").write_text(trap.base_file(number))
    workshop.run(opened(folder, "directory"), BuildRequest(tags=("trap-base",), network="none"))
    (folder / "Dockerfile").write_text(trap.dockerfile(number))
    arguments = dict[str, str | None](trap.arguments[number])
    return workshop.run(opened(folder, front), BuildRequest(build_args=arguments, tags=("trap",), network="host"))


def judge(workshop: Workshop, trap: Trap, front: str) -> None:
    workshop.context("", FILES)
    folder = workshop.folder / "context"
    built(workshop, trap, front, 0)
    if trap.change is not None:
        trap.change(folder)
    second = built(workshop, trap, front, 1)

    last = second.steps[-1].stage
    assert {step.number for step in second.steps if step.stage == last and step.outcome == "run"} == set(trap.must_run)
    fresh = workshop.run(opened(folder, front), BuildRequest(no_cache=True, network="host"))
    assert listing(second.image) == listing(fresh.image), "what came from the cache is what a build without it makes"


@pytest.mark.parametrize("front", ["directory", "tar"])
@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_the_cache_judges_copies_right(workshop: Workshop, trap: Trap, front: str) -> None:
    judge(workshop, trap, front)


@pytest.mark.root
@pytest.mark.parametrize("trap", RUN_TRAPS, ids=lambda trap: trap.name)
def test_the_cache_judges_commands_right(shop: Workshop, trap: Trap) -> None:
    shop.images.tag("base", "busybox")
    judge(shop, trap, "tar")
