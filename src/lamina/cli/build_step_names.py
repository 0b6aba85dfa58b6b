"""The names of a live build's steps, as BuildKit's clients know them: `[stage 2/3] RUN make`.

Steps that only change the config are counted and shown nowhere, as there.
"""

from __future__ import annotations

from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_SHOWN = frozenset({"FROM", "RUN", "COPY", "ADD", "WORKDIR"})


def step_key(news: Mapping[str, Any]) -> str:
    """Return what a step is known by in all news about it."""
    return f"{news.get('Platform', '')} {news['Stage']} {news['Number']}"


class StepNames:
    """The names of the steps that plans announced."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def plan(self, news: Mapping[str, Any]) -> None:
        """Take the plan of a build, or of one platform of it."""
        stages, platform = news["Stages"], news.get("Platform", "")
        for stage in stages:
            instructions = stage["Instructions"]
            positions = [number for number, text in enumerate(instructions) if _is_shown(text)]
            name = stage["Name"] if len(stages) > 1 else ""
            head = "".join(f"{word} " for word in (platform, name) if word)
            for position, number in enumerate(positions, 1):
                key = step_key({"Platform": platform, "Stage": stage["Stage"], "Number": number})
                self._names[key] = f"[{head}{position}/{len(positions)}] {instructions[number]}"

    def of(self, news: Mapping[str, Any]) -> str:
        """Return the name of a step, empty for one that is not shown."""
        return self._names.get(step_key(news), "")


def _is_shown(instruction: str) -> bool:
    return instruction.partition(" ")[0].upper() in _SHOWN
