"""Checks of FROM: the arguments in its image and its platform.

Rule: BuildKit's frontend/dockerfile, dockerfile2llb/validations.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from lamina.dockerfile.checks import rules
from lamina.dockerfile.checks.findings import Findings
from lamina.dockerfile.checks.scope import Surroundings, near
from lamina.dockerfile.dockerfile import Dockerfile
from lamina.dockerfile.expand import Expanded, Lexer
from lamina.dockerfile.instructions import From
from lamina.dockerfile.position import Lines, Problem
from lamina.errors import InvalidInput
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference

TARGET_PLATFORM = "TARGETPLATFORM"
_ID = re.compile("[0-9a-f]{64}")  # which is no reference, but builds here begin with it


@dataclass(frozen=True, slots=True)
class Argument:
    """An ARG as somebody who builds sees it: its value without quotes, what the comment above says, and its place.

    `uses` are the arguments from which its default is made, and those of earlier lines with the same name.
    """

    name: str
    value: str
    description: str
    lines: Lines
    uses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GlobalArguments:
    """The arguments in front of the stages: values by name, all names with a value or without, and their places."""

    values: Mapping[str, str]
    names: frozenset[str]
    declared: Mapping[str, Argument]

    @classmethod
    def of(cls, file: Dockerfile, surroundings: Surroundings, *, defaults_only: bool = False) -> GlobalArguments:
        """Return the arguments of a file. With `defaults_only` the command line counts for nothing. Raise Problem."""
        given = {} if defaults_only else surroundings.given
        values = {name: given.get(name, value) for name, value in surroundings.predefined.items()}
        declared: dict[str, Argument] = {}
        for argument in file.arguments:
            for name, default in argument.arguments:
                uses: frozenset[str] = frozenset()
                if name in given:
                    values[name] = given[name]
                elif default is not None:
                    expanded = Lexer(file.escape).process(default, values)
                    values[name], uses = expanded.text, expanded.found - {name}
                if name in declared:
                    uses |= declared[name].uses
                description = argument.origin.description(name)
                declared[name] = Argument(name, values.get(name, ""), description, argument.origin.lines, uses)
        return cls(values, frozenset({*values, *declared}), declared)


@dataclass(frozen=True, slots=True)
class BaseName:
    """The image or stage of a FROM and its platform, both expanded, and the arguments in them.

    The platform is None where FROM names none.
    """

    name: str
    platform: Platform | None
    uses: frozenset[str] = frozenset()


def check_defaults(file: Dockerfile, surroundings: Surroundings, findings: Findings) -> None:
    """Note bases that are no name of an image while the command line gives no arguments."""
    try:
        arguments = GlobalArguments.of(file, surroundings, defaults_only=True)
        names = [Lexer(file.escape).expand(stage.base.base, arguments.values) for stage in file.stages]
    except Problem:
        return  # the build fails for the same reason
    stages: set[str] = set()
    for stage, name in zip(file.stages, names, strict=True):
        if name.lower() not in stages and not is_reference(name):
            findings.add(rules.INVALID_DEFAULT_ARG, stage.base.origin, stage.base.base)
        stages |= {stage.name} - {""}


def is_reference(name: str) -> bool:
    """Return whether a text is the name or the ID of an image, as far as its form goes."""
    if _ID.fullmatch(name):
        return True
    try:
        Reference.parse(name)
    except InvalidInput:
        return False
    return True


def check_base(instruction: From, escape: str, arguments: GlobalArguments, findings: Findings) -> BaseName:
    """Note what is wrong with a FROM, and return what it begins with. Raise Problem."""
    lexer = Lexer(escape)
    name = lexer.process(instruction.base, arguments.values)
    _check_declared(instruction, name, arguments, findings)
    if not name.text:
        advice = "Give the ARG a default, or a value with --build-arg."
        raise Problem(f"base name ({instruction.base}) should not be blank", advice)
    if not instruction.platform:
        return BaseName(name.text, None, name.found)
    written = lexer.process(instruction.platform, arguments.values)
    _check_declared(instruction, written, arguments, findings)
    if not written.found and not written.missing:
        _check_constant(instruction, written.text, findings)
    is_predefined = written.found == {TARGET_PLATFORM} and not written.missing
    if is_predefined and written.text == arguments.values.get(TARGET_PLATFORM):
        findings.add(rules.REDUNDANT_TARGET_PLATFORM, instruction.origin, instruction.platform)
    return BaseName(name.text, platform_of(instruction, written, arguments.values), name.found | written.found)


def platform_of(instruction: From, written: Expanded, values: Mapping[str, str]) -> Platform:
    """Return the platform of a FROM that names one. `values` are the arguments. Raise Problem."""
    meant = next((guess for name in sorted(written.missing) if (guess := near(name, sorted(values)))), None)
    hint = f"Did you mean {meant}?" if meant else None
    if not written.text:
        raise Problem(f"empty platform value from expression {instruction.platform}", hint)
    try:
        return Platform.parse(written.text)
    except InvalidInput as error:
        raise Problem(
            f"failed to parse platform {instruction.platform}: {error.message}", hint or error.advice
        ) from None


def _check_declared(instruction: From, word: Expanded, arguments: GlobalArguments, findings: Findings) -> None:
    for name in sorted(word.missing - arguments.names):
        meant = near(name, sorted(arguments.names))
        hint = f" (did you mean {meant}?)" if meant else ""
        findings.add(rules.UNDEFINED_ARG_IN_FROM, instruction.origin, name, hint)


def _check_constant(instruction: From, text: str, findings: Findings) -> None:
    """Note a platform that is always the same, unless the stage is named after it."""
    with suppress(InvalidInput):  # for malformed text: the build fails with the reason
        platform = Platform.parse(text)
        if platform.os not in instruction.name and platform.architecture not in instruction.name:
            findings.add(rules.FROM_PLATFORM_FLAG_CONST, instruction.origin, text)
