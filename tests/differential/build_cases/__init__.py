"""Builds that real engines and lamina must agree on, a file for each theme."""

from __future__ import annotations

from differential.build_cases import (
    adding,
    commands,
    copying,
    destinations,
    metadata,
    mounts,
    runs,
    selection,
    stages,
    syntax,
    variables,
)
from differential.build_cases.case import Case

CASES: list[Case] = [
    *commands.CASES,
    *metadata.CASES,
    *variables.CASES,
    *copying.CASES,
    *selection.CASES,
    *destinations.CASES,
    *adding.CASES,
    *stages.CASES,
    *runs.CASES,
    *mounts.CASES,
    *syntax.CASES,
]
