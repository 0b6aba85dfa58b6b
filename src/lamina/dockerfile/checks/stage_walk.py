"""Follow the instructions of stages, so that each is checked with the names and values that it sees.

Rule: Dockerfile reference, "Environment replacement"; BuildKit's frontend/dockerfile, dockerfile2llb/convert.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from lamina.dockerfile.checks import rules
from lamina.dockerfile.checks.bases import Argument, GlobalArguments
from lamina.dockerfile.checks.findings import Findings
from lamina.dockerfile.checks.instructions import (
    check_argument,
    check_command,
    check_pairs,
    check_ports,
    check_sources,
    check_workdir,
)
from lamina.dockerfile.checks.scope import DEFAULT_PATH, BaseFacts, Scope, Surroundings, near
from lamina.dockerfile.dockerfile import Dockerfile, Stage, parse_instructions
from lamina.dockerfile.expand import Expanded
from lamina.dockerfile.expansion import Expansion
from lamina.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    OnBuild,
    Origin,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from lamina.dockerfile.mounts import MountFlag, parse_mount
from lamina.dockerfile.position import Lines, Problem, located


@dataclass(frozen=True, slots=True)
class MountUse:
    """A mount of a RUN step, its names expanded, and its place."""

    mount: MountFlag
    lines: Lines


@dataclass(slots=True)
class StageFacts:
    """What is known of a stage after its instructions: for the stages on it, and for the outline of a build."""

    scope: Scope
    has_shell: bool = False
    has_workdir: bool = False
    triggers: tuple[str, ...] = ()
    arguments: dict[str, Argument | None] = field(default_factory=dict)  # None: as it stands in front of the stages
    mounts: list[MountUse] = field(default_factory=list)

    def below(self) -> StageFacts:
        """Return what a stage begins with that is built on this one."""
        return StageFacts(self.scope.copy(), self.has_shell, self.has_workdir)


def begin_on_image(facts: BaseFacts | None, escape: str) -> StageFacts:
    """Return what a stage on an image begins with; None is an image of which nothing is known."""
    known = facts or BaseFacts()
    scope = Scope(escape, {"PATH": DEFAULT_PATH, **known.environment}, is_whole=facts is not None)
    return StageFacts(scope, known.has_shell)


class StageWalk:
    """One stage, instruction by instruction."""

    def __init__(
        self,
        file: Dockerfile,
        arguments: GlobalArguments,
        surroundings: Surroundings,
        findings: Findings,
        facts: StageFacts,
    ) -> None:
        self._file = file
        self._globals = arguments
        self._surroundings = surroundings
        self._findings = findings
        self._facts = facts
        self._used: dict[type[Instruction], Instruction] = {}

    def run(self, stage: Stage, triggers: tuple[str, ...]) -> None:
        """Check the triggers of the base, then the stage's own instructions. Raise InvalidInput with the line."""
        lines = stage.base.origin.lines
        for trigger in triggers:
            for instruction in parse_instructions([trigger]):
                self._visit(replace(instruction, origin=Origin(instruction.origin.text, lines)))
        for instruction in stage.instructions:
            self._visit(instruction)

    def _visit(self, instruction: Instruction) -> None:
        if self._findings.is_full:
            return
        try:
            if isinstance(instruction, Arg):
                self._declare(instruction)
            else:
                self._check_names(instruction)
                self._check(Expansion(self._facts.scope.values(), self._file.escape).apply(instruction))
        except Problem as problem:
            raise located(problem, self._file.text, instruction.origin.lines) from None

    def _check(self, expanded: Instruction) -> None:
        facts, findings = self._facts, self._findings
        match expanded:
            case Env() | Label():
                check_pairs(expanded, findings)
                if isinstance(expanded, Env):
                    facts.scope.set(facts.scope.environment, {pair.name: pair.value for pair in expanded.pairs})
            case Workdir():
                if not facts.has_workdir:
                    check_workdir(expanded, findings)
                facts.has_workdir = True
            case Cmd() | Entrypoint() | Healthcheck():
                self._check_used_once(expanded)
                if not isinstance(expanded, Healthcheck):
                    check_command(expanded, findings, has_shell=facts.has_shell)
            case Expose():
                check_ports(expanded, findings)
            case Shell():
                facts.has_shell = True
            case OnBuild():
                facts.triggers += (expanded.trigger,)
            case Add():
                check_sources(expanded, self._surroundings.ignored, findings)
            case Copy() if not expanded.source_image:
                check_sources(expanded, self._surroundings.ignored, findings)

    def _check_used_once(self, instruction: Instruction) -> None:
        """Note the earlier one of two: it has no effect."""
        before = self._used.get(type(instruction))
        if before is not None:
            origin = instruction.origin
            self._findings.add(rules.MULTIPLE_INSTRUCTIONS, origin, origin.keyword, lines=before.origin.lines)
        self._used[type(instruction)] = instruction

    def _declare(self, instruction: Arg) -> None:
        """Take an ARG. Its value is that of the command line, its default, or the one in front of the stages."""
        check_argument(instruction, self._findings)
        scope, given = self._facts.scope, self._surroundings.given
        for name, default in instruction.arguments:
            value = given.get(name)
            is_own = value is not None or default is not None or name not in self._globals.values
            if value is None and default is not None:
                expanded = scope.expand(default)
                self._note(instruction, expanded)
                value = expanded.text
            elif value is None:
                value = self._globals.values.get(name)
            if value is not None:
                scope.set(scope.arguments, {name: value})
            scope.declared.add(name)
            description = instruction.origin.description(name)
            own = Argument(name, value or "", description, instruction.origin.lines)
            self._facts.arguments[name] = own if is_own else None

    def _check_names(self, instruction: Instruction) -> None:
        if isinstance(instruction, Run):
            for text in instruction.mounts:
                mount = parse_mount(text, lambda word: self._expanded(instruction, word))
                self._facts.mounts.append(MountUse(mount, instruction.origin.lines))
        for word in _words(instruction):
            self._expanded(instruction, word)
        if isinstance(instruction, Copy | Add):
            for file in instruction.inline:
                if file.expand:
                    self._note(instruction, self._facts.scope.expand(file.text, keep_quotes=True))

    def _expanded(self, instruction: Instruction, word: str) -> str:
        expanded = self._facts.scope.expand(word)
        self._note(instruction, expanded)
        return expanded.text

    def _note(self, instruction: Instruction, expanded: Expanded) -> None:
        """Note the names in a word that nothing defines."""
        scope = self._facts.scope
        for name in scope.undefined(expanded):
            meant = near(name, scope.values())
            hint = f" (did you mean ${meant}?)" if meant else ""
            self._findings.add(rules.UNDEFINED_VAR, instruction.origin, name, hint)


def _words(instruction: Instruction) -> Iterator[str]:
    """Yield the parts of an instruction in which names that nothing defines are a mistake."""
    match instruction:
        case Env() | Label():
            if isinstance(instruction, Env) or instruction.expand:
                for pair in instruction.pairs:
                    yield from (pair.name, pair.value)
        case Copy() | Add():
            yield from (*instruction.sources, instruction.destination, instruction.chown, instruction.chmod)
            if isinstance(instruction, Add):
                yield instruction.checksum
        case Workdir():
            yield instruction.path
        case User():
            yield instruction.user
        case Volume():
            yield from instruction.paths
        case StopSignal():
            yield instruction.signal
