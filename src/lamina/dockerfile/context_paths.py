"""Which files of a named context a Dockerfile reads, so that a client need not send the rest.

Rule: moby/buildkit, dockerfile2llb, asyncLocalOpts.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from contextlib import suppress

from lamina.dockerfile.checks.stage_names import StageNames
from lamina.dockerfile.dockerfile import Dockerfile, Stage
from lamina.dockerfile.instructions import Copy, Run
from lamina.dockerfile.mounts import parse_mount
from lamina.dockerfile.position import Problem


def context_paths(file: Dockerfile, target: int, is_context: Callable[[str], bool]) -> tuple[str, ...] | None:
    """Return the paths and patterns that a target reads of a context; None where it may read all files.

    `is_context` tells whether a name means the context, which also takes the place of a stage of that name.
    """
    paths: dict[str, None] = {}
    for index in _needed(file, target):
        stage = file.stages[index]
        if is_context(stage.name):
            if index == target:
                return None
            continue
        for source in _sources(stage, is_context):
            path = posixpath.normpath(f"/{source}").lstrip("/")
            if not path or "$" in source:
                return None
            paths[path] = None
    return tuple(paths)


def _needed(file: Dockerfile, target: int) -> list[int]:
    """Return the stages that a target is made from. Where FROM has a variable, all in front of it may be."""
    bases = [stage.base.base for stage in file.stages]
    if any("$" in base for base in bases):
        return list(range(target + 1))
    return sorted(StageNames(file).needed(bases, target))


def _sources(stage: Stage, is_context: Callable[[str], bool]) -> Iterator[str]:
    """Yield what the steps of a stage read of the context, "" for all of it."""
    if is_context(stage.base.base) or "$" in stage.base.base:
        yield ""
    for instruction in stage.instructions:
        if isinstance(instruction, Copy) and is_context(instruction.source_image):
            yield from instruction.sources
        elif isinstance(instruction, Run):
            for text in instruction.mounts:
                with suppress(Problem):  # raised again when the step is done
                    mount = parse_mount(text, str)
                    if is_context(mount.source_image):
                        yield mount.source
