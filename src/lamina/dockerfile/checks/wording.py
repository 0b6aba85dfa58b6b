"""Checks of how a file is written: the case of its words, comments, line ends, and the names of its stages.

Rule: BuildKit's frontend/dockerfile, instructions/parse.go and dockerfile2llb/validations.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from lamina.dockerfile.checks import rules
from lamina.dockerfile.checks.findings import Findings
from lamina.dockerfile.dockerfile import Dockerfile
from lamina.dockerfile.instructions import Arg, From, Instruction, Maintainer, Origin
from lamina.dockerfile.split import split_command, split_gaps

RESERVED = ("context", "scratch")


def check_wording(file: Dockerfile, findings: Findings) -> None:
    """Note what is written badly in any line of the file."""
    for warning in file.warnings:
        origin = Origin("", warning.lines)
        findings.add(rules.NO_EMPTY_CONTINUATION, origin)
    for instruction in (*file.arguments, *_instructions(file)):
        if isinstance(instruction, Maintainer):
            findings.add(rules.MAINTAINER_DEPRECATED, instruction.origin)
        elif isinstance(instruction, From):
            _check_from(instruction, file.escape, findings)
        elif isinstance(instruction, Arg):
            _check_comment(instruction, "ARG", [name for name, _ in instruction.arguments], findings)
    _check_stage_names(file, findings)
    _check_case(file, findings)


def _instructions(file: Dockerfile) -> Iterator[Instruction]:
    """Yield what stands in stages. Arguments before the first one have no say in the file's case."""
    for stage in file.stages:
        yield stage.base
        yield from stage.instructions


def _check_from(instruction: From, escape: str, findings: Findings) -> None:
    origin = instruction.origin
    command = split_command(origin.text, escape)
    words = split_gaps(command.rest)
    if len(words) < 3:
        return
    _, keyword, name = words
    if name != name.lower():
        findings.add(rules.STAGE_NAME_CASING, origin, name)
    as_from = {command.keyword.lower(): str.lower, command.keyword.upper(): str.upper}.get(command.keyword)
    if as_from is not None and keyword != as_from(keyword):
        findings.add(rules.FROM_AS_CASING, origin, keyword, command.keyword)
    _check_comment(instruction, "FROM", [instruction.name], findings)


def _check_comment(instruction: Instruction, keyword: str, names: list[str], findings: Findings) -> None:
    comments = instruction.origin.comments
    if comments and comments[-1].split(" ")[0] not in names:
        name = names[0] if len(names) == 1 else "<arg_key>"
        findings.add(rules.INVALID_DEFINITION_DESCRIPTION, instruction.origin, keyword, name)


def _check_stage_names(file: Dockerfile, findings: Findings) -> None:
    names: set[str] = set()
    for stage in file.stages:
        if stage.name in RESERVED:
            findings.add(rules.RESERVED_STAGE_NAME, stage.base.origin, stage.name)
        if stage.name in names:
            findings.add(rules.DUPLICATE_STAGE_NAME, stage.base.origin, stage.name)
        names |= {stage.name} - {""}


def _check_case(file: Dockerfile, findings: Findings) -> None:
    keywords = [instruction.origin.keyword for instruction in _instructions(file)]
    lower = sum(keyword == keyword.lower() for keyword in keywords)
    upper = sum(keyword == keyword.upper() for keyword in keywords)
    case, convert = ("lowercase", str.lower) if lower > upper else ("uppercase", str.upper)
    for instruction in _instructions(file):
        keyword = instruction.origin.keyword
        if keyword != convert(keyword):
            findings.add(rules.CONSISTENT_INSTRUCTION_CASING, instruction.origin, keyword, case)
