"""Check a whole Dockerfile: what BuildKit's `--check` finds, and what a build warns of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lamina.dockerfile.checks import rules
from lamina.dockerfile.checks.bases import BaseName, GlobalArguments, check_base, check_defaults, is_reference
from lamina.dockerfile.checks.findings import Finding, Findings
from lamina.dockerfile.checks.scope import BaseFacts, Room, Surroundings
from lamina.dockerfile.checks.stage_names import StageNames
from lamina.dockerfile.checks.stage_walk import StageFacts, StageWalk, begin_on_image
from lamina.dockerfile.checks.wording import check_wording
from lamina.dockerfile.directives import CheckOptions, check_options
from lamina.dockerfile.dockerfile import Dockerfile, Stage
from lamina.dockerfile.instructions import From
from lamina.dockerfile.position import Lines, Problem, located
from lamina.errors import InvalidInput
from lamina.formats.platform import Platform

OPTIONS_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"
_MOST_NAMES = 500_000  # that stages take over from those that they are built on, in one file


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a file. `mistake` is why the file cannot be built at all, None where that is not seen.

    `is_fatal` tells whether findings fail the build, and `is_parsed` whether the whole file was read. `stages` are what
    is known of each stage that was looked at.
    """

    findings: tuple[Finding, ...]
    mistake: InvalidInput | None
    is_fatal: bool
    arguments: GlobalArguments
    stages: Mapping[int, StageFacts]
    bases: tuple[BaseName, ...]
    is_parsed: bool = True

    def refuse(self) -> None:
        """Raise InvalidInput in BuildKit's words when there are findings and they fail the build."""
        if self.is_fatal and self.findings:
            names = ", ".join(sorted({finding.rule.name for finding in self.findings}))
            advice = "Mend the lines, or take error=true out of # check=."
            raise InvalidInput(f"lint violation found for rules: {names}", advice=advice)


def options_of(file: Dockerfile, build_args: Mapping[str, str | None]) -> CheckOptions:
    """Return which rules a build leaves out: by its argument, else by the directive. Raise InvalidInput."""
    text = build_args.get(OPTIONS_ARGUMENT)
    try:
        if text is not None:
            return check_options(text) if text.strip() else CheckOptions()
    except Problem as problem:
        message = f"failed to parse build-arg:{OPTIONS_ARGUMENT}: {problem.message}"
        raise InvalidInput(message, advice=problem.advice) from None
    directives = [directive.value for directive in file.directives if directive.name == "check"]
    return check_options(directives[0]) if directives else CheckOptions()


def check(file: Dockerfile, surroundings: Surroundings, *, target: int | None = None) -> Checked:
    """Check a file. With a `target` only the stages that it needs are looked at closely, without one all are.

    Raise InvalidInput for malformed options.
    """
    options = options_of(file, surroundings.build_args)
    findings = Findings(options)
    check_wording(file, findings)
    check_defaults(file, surroundings, findings)
    whole = _Whole(file, surroundings, findings)
    mistake: InvalidInput | None = None
    try:
        whole.run(target)
    except InvalidInput as error:
        mistake = error
    stages, bases = whole.stages, tuple(whole.bases)
    return Checked(findings.in_order(), mistake, options.error, whole.arguments, stages, bases)


class _Whole:
    """The arguments, the FROM lines and the stages of one file."""

    def __init__(self, file: Dockerfile, surroundings: Surroundings, findings: Findings) -> None:
        self._file = file
        self._surroundings = surroundings
        self._findings = findings
        self.arguments = GlobalArguments({}, frozenset(), {})
        self.bases: list[BaseName] = []
        self.stages: dict[int, StageFacts] = {}
        self.names = StageNames(file)
        self._names = 0  # that stages took over from others
        self._room = Room()

    def run(self, target: int | None) -> None:
        """Check FROM lines first, then stages in order. Raise InvalidInput for what no build accepts."""
        file, lines = self._file, Lines(1, 1)
        try:
            if file.arguments:
                lines = Lines(file.arguments[0].origin.lines.first, file.arguments[-1].origin.lines.last)
            self.arguments = GlobalArguments.of(file, self._surroundings)
            for stage in file.stages:
                lines = stage.base.origin.lines
                self.bases.append(check_base(stage.base, file.escape, self.arguments, self._findings))
        except Problem as problem:
            raise located(problem, file.text, lines) from None
        needed = (
            range(len(file.stages)) if target is None else self.names.needed([base.name for base in self.bases], target)
        )
        for index in sorted(needed):
            self.stages[index] = self._walk(index, file.stages[index])

    def _walk(self, index: int, stage: Stage) -> StageFacts:
        base = self.bases[index]
        below = self.names.find(base.name, index)
        if below is not None and below in self.stages:
            facts, triggers = self._on_stage(self.stages[below]), self.stages[below].triggers
        else:
            facts, triggers = self._on_image(stage.base, base)
        facts.scope.room = self._room  # one for the whole file
        walk = StageWalk(self._file, self.arguments, self._surroundings, self._findings, facts)
        walk.run(stage, triggers)
        return facts

    def _on_stage(self, below: StageFacts) -> StageFacts:
        """Return what a stage on another one begins with. After too many names nothing is known of any."""
        self._names += len(below.scope)
        return below.below() if self._names <= _MOST_NAMES else begin_on_image(None, self._file.escape)

    def _on_image(self, instruction: From, base: BaseName) -> tuple[StageFacts, tuple[str, ...]]:
        if base.name == "scratch":
            return begin_on_image(BaseFacts(), self._file.escape), ()
        if not is_reference(base.name):
            problem = Problem(f'failed to parse stage name "{base.name}": invalid reference format')
            raise located(problem, self._file.text, instruction.origin.lines)
        expected = base.platform or self._surroundings.platform
        image = self._surroundings.find_base(base.name, expected)
        if image is not None and image.platform is not None and expected is not None:
            self._check_platform(instruction, base.name, expected, image.platform)
        return begin_on_image(image, self._file.escape), image.triggers if image else ()

    def _check_platform(self, instruction: From, name: str, expected: Platform, actual: Platform) -> None:
        if (expected.os, expected.architecture) != (actual.os, actual.architecture):
            words = (name, str(actual.normalised()), str(expected.normalised()))
            self._findings.add(rules.INVALID_BASE_IMAGE_PLATFORM, instruction.origin, *words)
