"""Errors of a build: what failed, in Docker's words, and the line of the Dockerfile it stands on."""

from __future__ import annotations

from lamina.dockerfile.dockerfile import Dockerfile
from lamina.dockerfile.instructions import Instruction
from lamina.dockerfile.position import Problem, excerpt
from lamina.errors import CommandFailed, InvalidInput, LaminaError


def facts(file: Dockerfile, instruction: Instruction) -> dict[str, object]:
    """Return where an instruction stands, for the facts of an error."""
    lines = instruction.origin.lines
    return {"line": lines.first, "last_line": lines.last, "excerpt": excerpt(file.text, lines) if lines.first else ""}


def failed(file: Dockerfile, instruction: Instruction, problem: Problem, prefix: str = "") -> InvalidInput:
    """Return a rule that a step broke. The message begins with `prefix`, such as "COPY failed: "."""
    place = facts(file, instruction)
    return InvalidInput(f"{prefix}{problem.message}", advice=_advice(problem.advice, place), **place)


def placed(file: Dockerfile, instruction: Instruction, error: LaminaError, prefix: str = "") -> LaminaError:
    """Return the same error, knowing its line; its kind, message (behind `prefix`) and facts stay."""
    place = {key: value for key, value in facts(file, instruction).items() if key not in error.facts}
    # Scripts read "The command … returned …" whole.
    is_whole = "line" in error.facts or isinstance(error, CommandFailed)
    advice = error.advice if is_whole else _advice(error.advice, place)
    return type(error)(f"{prefix}{error.message}", advice=advice, **error.facts, **place)


def _advice(advice: str | None, place: dict[str, object]) -> str | None:
    if not place.get("excerpt"):
        return advice
    lead = f"{advice} " if advice else ""
    return f"{lead}Dockerfile line {place['line']}:\n{place['excerpt']}"
