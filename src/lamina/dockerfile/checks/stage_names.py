"""Which stage a name means, and which stages a target is made from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress

from lamina.dockerfile.dockerfile import Dockerfile
from lamina.dockerfile.instructions import Copy, Run
from lamina.dockerfile.mounts import parse_mount
from lamina.dockerfile.position import Problem

_DIGITS = 9  # of a stage's number; a longer one is no stage


class StageNames:
    """The stages of a file by name. A name that comes again means the nearest stage in front of its use."""

    def __init__(self, file: Dockerfile) -> None:
        self._file = file
        self._indexes: dict[str, list[int]] = {}
        for index, stage in enumerate(file.stages):
            if stage.name:
                self._indexes.setdefault(stage.name, []).append(index)

    def find(self, name: str, before: int) -> int | None:
        """Return the stage that a name means in the stage `before`; None where it is that of an image."""
        indexes = self._indexes.get(name.lower(), [])
        place = bisect_left(indexes, before)
        return indexes[place - 1] if place else None

    def needed(self, bases: Sequence[str], target: int) -> set[int]:
        """Return the stages that a target is made from, and the target itself. `bases` are what they begin with."""
        needed: set[int] = set()
        waiting = [target]
        while waiting:
            index = waiting.pop()
            if index not in needed:
                needed.add(index)
                waiting += self.uses(bases[index], index)
        return needed

    def uses(self, base: str, index: int) -> Iterator[int]:
        """Yield the stages that a stage names, as its `base`, in COPY or in a mount."""
        for name in (base, *self._sources(index)):
            stage = self.find(name, index)
            if stage is not None:
                yield stage
            elif name.isdecimal() and len(name) <= _DIGITS and int(name) < index:
                yield int(name)

    def _sources(self, index: int) -> Iterator[str]:
        for instruction in self._file.stages[index].instructions:
            if isinstance(instruction, Copy):
                yield instruction.source_image
            elif isinstance(instruction, Run):
                for text in instruction.mounts:
                    with suppress(Problem):  # a field that holds names of arguments
                        yield parse_mount(text, str).source_image
