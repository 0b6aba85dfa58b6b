"""What a build did with each step, for `BuildResult.steps` and `build --explain`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from lamina.api.build_steps import BuildStep, Difference, Outcome
from lamina.builder.buildkit_keys.content_hash import HashedTree
from lamina.builder.buildkit_keys.key_records import KeyRecord
from lamina.builder.cache.records import StepPlace
from lamina.dockerfile.dockerfile import Dockerfile


@dataclass(slots=True)
class StepUnderWay:
    """The step that a stage is at. Whoever does the step fills in how it ended.

    `key` is BuildKit's key of its files, and `linked_key` that of a linked copy's own files, whatever is below them.
    `hashed` are the trees whose files are in the key.
    """

    place: StepPlace = field(default_factory=StepPlace)
    outcome: Outcome = "run"
    differences: tuple[Difference, ...] = ()
    omitted: int = 0
    line: int = 0
    needs: tuple[int, ...] = ()
    began: float = field(default_factory=time.monotonic)
    started: float = field(default_factory=time.time)
    key: KeyRecord | None = None
    linked_key: KeyRecord | None = None
    hashed: list[HashedTree] = field(default_factory=list)

    @property
    def certain_key(self) -> KeyRecord | None:
        """Return the key, at the end of the step: None where files have changed since they were hashed."""
        return self.key if all(tree.is_unchanged() for tree in self.hashed) else None


class StepLog:
    """The steps of one build, in the order of its Dockerfile. Thread-safe: stages are built at once."""

    def __init__(self) -> None:
        self._steps: list[BuildStep] = []
        self._guard = threading.Lock()

    def add(self, step: StepUnderWay, stage_name: str, image: str) -> BuildStep:
        """Note how a step ended, and return that as a value."""
        place = step.place
        seconds = round(time.monotonic() - step.began, 6)
        done = BuildStep(
            place.stage,
            place.number,
            place.instruction,
            step.outcome,
            stage_name,
            step.line,
            image,
            step.started,
            seconds,
            step.differences,
            step.omitted,
            step.needs,
        )
        with self._guard:
            self._steps.append(done)
        return done

    def done(self) -> tuple[BuildStep, ...]:
        """Return the steps that were done so far."""
        with self._guard:
            return tuple(sorted(self._steps, key=_position))

    def all(self, file: Dockerfile) -> tuple[BuildStep, ...]:
        """Return the steps that were done, and as skipped those of the file's stages that were not built."""
        steps = list(self.done())
        built = {step.stage for step in steps}
        for index, stage in enumerate(file.stages):
            if index not in built:
                for number, instruction in enumerate((stage.base, *stage.instructions)):
                    line = instruction.origin.lines.first
                    steps.append(BuildStep(index, number, str(instruction), "skipped", stage.name, line))
        return tuple(sorted(steps, key=_position))


def _position(step: BuildStep) -> tuple[int, int]:
    return step.stage, step.number
