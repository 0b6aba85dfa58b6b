"""What one measurement gives, and how many of them become one figure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One measurement: `value` in the row's unit, and `processor`, the client's own time in milliseconds."""

    value: float
    processor: float = 0.0


Outcome = list[Sample] | str
"""The samples of a subject in a row, or why there are none."""


@dataclass(frozen=True)
class Result:
    """A row that was measured: its name, its unit, what it promises, and the outcome of each subject."""

    name: str
    unit: str
    targets: Mapping[str, float]
    limit: float | None
    outcomes: Mapping[str, Outcome]

    def medians(self) -> dict[str, float]:
        """Return the median of each subject that has samples."""
        return {
            name: statistics.median(sample.value for sample in samples)
            for name, samples in self.outcomes.items()
            if not isinstance(samples, str)
        }

    def best_peer(self) -> tuple[str, float] | None:
        """Return the name and median of the best engine that is not lamina, None without any."""
        peers = {name: value for name, value in self.medians().items() if not is_lamina(name)}
        return min(peers.items(), key=lambda item: item[1]) if peers else None


def is_lamina(name: str) -> bool:
    """Return whether a subject's name means lamina, behind whatever client."""
    return name.partition(",")[0] == "lamina" or name.endswith(" to lamina")


def middle_half(values: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of the middle half of the values."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high
