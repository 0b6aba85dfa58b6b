"""What a build did with each of its steps, and why one had to run: values for programs, and their JSON.

`POST /build?explain=1` sends one `{"aux": {"Step": …}}` for each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

Outcome = Literal["cached", "run", "failed", "skipped"]


class Difference(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One thing in which a step differs from the nearest earlier one.

    `kind` says what: `base` (the layers below), `image` (what FROM names), `instruction`, `command`, `argument`,
    `environment`, `user`, `directory`, `network`, `host`, `limit`, `mount`, `document`, `platform`, `time`; `file`,
    `mode` and `owner` of a path in the image; `new` when there is no earlier step, `lost` when its image is gone,
    `no-cache` when the build asked for none. `before` and `after` are texts; digests for files, "" for what is not
    there.
    """

    kind: str
    name: str = ""
    before: str = ""
    after: str = ""


class PlannedStage(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """A stage before it is built. `stage` counts from 0, `instructions` begin with FROM.

    `needs` are the stages that it is made from. One that the target does not need is `skipped`.
    """

    stage: int
    name: str
    instructions: tuple[str, ...]
    needs: tuple[int, ...] = ()
    skipped: bool = False


class BuildStep(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """A step. `stage` and `number` count from 0, and FROM is step 0. `omitted` differences are not listed.

    `started` is in seconds since 1970, 0 for a step that was skipped. `needs` of step 0 are the stages that its stage
    is made from.
    """

    stage: int
    number: int
    instruction: str
    outcome: Outcome
    stage_name: str = ""
    line: int = 0
    image: str = ""
    started: float = 0.0
    seconds: float = 0.0
    differences: tuple[Difference, ...] = ()
    omitted: int = 0
    needs: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the step as members of a JSON object."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> BuildStep:
        """Return the step in a JSON object. Raise msgspec.ValidationError for another one."""
        return msgspec.convert(document, cls)


def explained(steps: Iterable[BuildStep]) -> str:
    """Return the steps as text for people: one line for each, and one for each difference below it."""
    lines: list[str] = []
    for step in steps:
        lines.append(f"{step.outcome:<8}{step.stage_name or step.stage} {step.number}: {step.instruction}")
        lines += [f"        {_sentence(difference)}" for difference in step.differences]
        if step.omitted:
            lines.append(f"        and {step.omitted} more differences")
    return "".join(f"{line}\n" for line in lines)


_SENTENCES = {
    "new": "no earlier step is like it",
    "lost": "the image of the earlier step is gone",
    "no-cache": "the build asked for no cache",
}


def _sentence(difference: Difference) -> str:
    if difference.kind in _SENTENCES:
        return _SENTENCES[difference.kind]
    name = f"{difference.kind} {difference.name}".strip()
    if not difference.before:
        return f"{name} is new: {difference.after}"
    if not difference.after:
        return f"{name} is gone: it was {difference.before}"
    return f"{name} was {difference.before}, is {difference.after}"
