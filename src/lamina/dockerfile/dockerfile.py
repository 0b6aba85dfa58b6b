"""A whole Dockerfile: arguments before the first FROM, then stages of typed instructions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from lamina.dockerfile.directives import Directive, check_options
from lamina.dockerfile.instructions import Arg, From, Instruction
from lamina.dockerfile.interpret import interpret
from lamina.dockerfile.position import Lines, Problem, located
from lamina.dockerfile.suggest import did_you_mean
from lamina.dockerfile.syntax import Node, Syntax, Warned, parse_syntax
from lamina.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Stage:
    """FROM and the instructions up to the next one."""

    base: From
    instructions: tuple[Instruction, ...]

    @property
    def name(self) -> str:
        """Return the stage's name in lower case, empty when it has none."""
        return self.base.name


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed file. `arguments` are the ARGs before the first FROM; there is at least one stage."""

    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    escape: str
    warnings: tuple[Warned, ...]
    text: tuple[str, ...]
    directives: tuple[Directive, ...] = ()

    def stage_index(self, target: str) -> int | None:
        """Return the index of the stage with this name or number: the last of a repeated name, in any case."""
        for index, stage in reversed(list(enumerate(self.stages))):
            if stage.name and stage.name == target.lower():
                return index
        return int(target) if target.isdecimal() and int(target) < len(self.stages) else None

    def target(self, target: str) -> int:
        """Return the index of the stage to build: of this name or number, for "" the last one. Raise InvalidInput."""
        index = self.stage_index(target) if target else len(self.stages) - 1
        if index is None:
            names = [stage.name for stage in self.stages if stage.name]
            advice = did_you_mean(target, names) or f"Stages: {', '.join(names) or 'none has a name'}."
            raise InvalidInput(
                f"failed to reach build target {target} in Dockerfile", advice=advice, target=target, fix=advice
            )
        return index


def parse(text: str) -> Dockerfile:
    """Parse a Dockerfile. Raise InvalidInput that names the line, shows it and says the likely fix."""
    syntax = parse_syntax(text)
    _judge(syntax)
    return _dockerfile(syntax, _instructions(syntax))


def parse_beginning(text: str) -> Dockerfile | None:
    """Return what stands in front of the first instruction that is wrong, None where there is no stage.

    Raise InvalidInput for text that has no instructions, and for directives that are wrong.
    """
    syntax = parse_syntax(text)
    _judge(syntax)

    def instructions() -> Iterator[tuple[Node, Instruction]]:
        with suppress(InvalidInput):
            yield from _instructions(syntax)

    try:
        return _dockerfile(syntax, instructions())
    except InvalidInput:
        return None


def _dockerfile(syntax: Syntax, instructions: Iterable[tuple[Node, Instruction]]) -> Dockerfile:
    arguments: list[Arg] = []
    stages: list[tuple[From, list[Instruction]]] = []
    for node, instruction in instructions:
        if isinstance(instruction, From):
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            problem = Problem("no build stage in current context", "Begin the file with FROM.")
            raise located(problem, syntax.text, node.lines)
    if not stages:
        raise InvalidInput("dockerfile contains no stages to build", advice="Add FROM image, or FROM scratch.")
    whole = tuple(Stage(base, tuple(instructions)) for base, instructions in stages)
    return Dockerfile(tuple(arguments), whole, syntax.escape, syntax.warnings, syntax.text, syntax.directives)


def _judge(syntax: Syntax) -> None:
    for directive in syntax.directives:
        try:
            if directive.name == "check":
                check_options(directive.value)
        except Problem as problem:
            raise located(problem, syntax.text, Lines(directive.line, directive.line)) from None


def parse_instructions(lines: Iterable[str]) -> tuple[Instruction, ...]:
    """Parse loose instructions without stages: `commit --change`, ONBUILD triggers.

    Raise InvalidInput as `parse` does; FROM is parsed too, whether it fits is the caller's question.
    """
    text = "\n".join(lines)
    return tuple(instruction for _, instruction in _instructions(parse_syntax(text)))


def _instructions(syntax: Syntax) -> Iterator[tuple[Node, Instruction]]:
    for node in syntax.nodes:
        try:
            yield node, interpret(node, syntax.escape)
        except Problem as problem:
            raise located(problem, syntax.text, node.lines) from None
