"""What long work tells while it runs: values, not text for one screen.

Builds, pulls, pushes and loads take a `Report`: a callable that receives these messages, from any thread. The daemon
turns them into Docker's JSON lines, the command line into bars or plain lines, a program may ignore them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Status:
    """The state of one piece of work, such as a layer: `{"id", "status", "progressDetail"}` in Docker's JSON.

    `current` and `total` are in bytes; `total` is None where it is not known.
    """

    status: str
    id: str | None = None
    current: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Text to show as it is: a build's output; `{"stream": text}`. `text` carries its own line ends.

    `error` marks what a step's command wrote to its standard error: dockerd shows it red.
    """

    text: str
    error: bool = False


@dataclass(frozen=True, slots=True)
class Aux:
    """A result for programs, such as `{"ID": "sha256:…"}`; `{"aux": …}`."""

    value: Mapping[str, Any]


Message = Status | Output | Aux
Report = Callable[[Message], None]


def ignore(*values: object) -> None:
    """Do nothing: a Report, or any other callback, for callers that do not want to know."""
