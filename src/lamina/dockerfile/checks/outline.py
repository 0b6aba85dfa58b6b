"""What a build can be given: its targets, and the arguments, secrets and ssh agents that a target takes.

Rule: BuildKit's frontend/dockerfile, dockerfile2llb/outline.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lamina.dockerfile.checks.bases import Argument, GlobalArguments
from lamina.dockerfile.checks.check import Checked
from lamina.dockerfile.checks.stage_walk import StageFacts
from lamina.dockerfile.dockerfile import Dockerfile
from lamina.dockerfile.mounts import agent_id, secret_id
from lamina.dockerfile.position import Lines


@dataclass(frozen=True, slots=True)
class Target:
    """A stage that can be built: its name and base as they are written, and what the comment above says of it."""

    name: str
    description: str
    base: str
    platform: str
    is_default: bool
    lines: Lines


@dataclass(frozen=True, slots=True)
class Need:
    """A secret or an ssh agent that RUN steps take, and its first place."""

    name: str
    is_required: bool
    lines: Lines


@dataclass(frozen=True, slots=True)
class Outline:
    """What a target takes, each kind in the order of the file."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    secrets: tuple[Need, ...]
    agents: tuple[Need, ...]


def targets_of(file: Dockerfile) -> tuple[Target, ...]:
    """Return the stages of a file as targets. The last one is built by default."""
    last = len(file.stages) - 1
    return tuple(
        Target(
            stage.name,
            stage.base.origin.description(stage.name),
            stage.base.base,
            stage.base.platform,
            index == last,
            stage.base.origin.lines,
        )
        for index, stage in enumerate(file.stages)
    )


def outline_of(file: Dockerfile, target: int, checked: Checked) -> Outline:
    """Return what a target takes. `checked` comes from a check with the same target."""
    stage = file.stages[target]
    arguments = {argument.name: argument for argument in _arguments(checked)}
    mounts = [use for facts in checked.stages.values() for use in facts.mounts]
    secrets = (Need(secret_id(m.mount), m.mount.required, m.lines) for m in mounts if m.mount.type == "secret")
    agents = (Need(agent_id(m.mount), m.mount.required, m.lines) for m in mounts if m.mount.type == "ssh")
    in_order = tuple(sorted(arguments.values(), key=lambda argument: argument.lines))
    description = stage.base.origin.description(stage.name)
    return Outline(stage.name, description, in_order, _by_name(secrets), _by_name(agents))


def _by_name(needs: Iterable[Need]) -> tuple[Need, ...]:
    """Return each name once, required where one of its uses requires it, in the order of first places."""
    merged: dict[str, Need] = {}
    for need in sorted(needs, key=lambda need: need.lines):
        before = merged.get(need.name, need)
        merged[need.name] = Need(need.name, before.is_required or need.is_required, before.lines)
    return tuple(merged.values())


def _arguments(checked: Checked) -> Iterator[Argument]:
    """Yield the arguments of the stages, and those in front of the stages that any of them is made from."""
    names: set[str] = set()
    for index, facts in checked.stages.items():
        names |= checked.bases[index].uses | _inherited(facts)
    yield from _with_uses(names, checked.arguments)
    for facts in checked.stages.values():
        yield from (argument for argument in facts.arguments.values() if argument is not None)


def _inherited(facts: StageFacts) -> set[str]:
    return {name for name, argument in facts.arguments.items() if argument is None}


def _with_uses(names: set[str], arguments: GlobalArguments) -> Iterator[Argument]:
    done: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        argument = arguments.declared.get(name)
        if argument is not None and name not in done:
            done.add(name)
            yield argument
            waiting += argument.uses
