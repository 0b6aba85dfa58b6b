"""The steps of one stage, from its base to its image, and the errors that name a step's line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from lamina.builder.arguments import BuildArgs
from lamina.builder.build_run import BuildRun
from lamina.builder.buildkit_keys.step_keys import begin_keys
from lamina.builder.cache.records import StepPlace
from lamina.builder.platforms import check_runnable
from lamina.builder.stage import StageState
from lamina.builder.stage_images import FileOrigin
from lamina.builder.step_log import StepUnderWay
from lamina.builder.steps import perform
from lamina.dockerfile.checks.bases import platform_of
from lamina.dockerfile.dockerfile import Dockerfile, Stage, parse_instructions
from lamina.dockerfile.expand import Lexer
from lamina.dockerfile.instructions import Instruction, Origin, Run
from lamina.dockerfile.mounts import parse_mount, secret_id
from lamina.dockerfile.position import Problem, excerpt
from lamina.errors import CommandFailed, InvalidInput, LaminaError, Unsupported
from lamina.formats.platform import Platform


class StepCounter:
    """The numbers of a file's steps, as Docker's classic output counts them: ARGs in front of the stages too."""

    def __init__(self, file: Dockerfile) -> None:
        self._before = [len(file.arguments)]
        for stage in file.stages:
            self._before.append(self._before[-1] + 1 + len(stage.instructions))

    @property
    def total(self) -> int:
        """Return the number of all steps."""
        return self._before[-1]

    def before(self, stage: int) -> int:
        """Return the number of steps in front of a stage."""
        return self._before[stage]


class StageBuild:
    """Builds one stage. `args` are those in front of the stages."""

    def __init__(self, work: BuildRun, args: BuildArgs, counter: StepCounter) -> None:
        self._work = work
        self._args = args
        self._total = counter.total
        self._step = counter.before(work.stage)

    def build(self) -> StageState:
        """Do the steps of the stage at which `work` stands. Raise what `builder.build` raises."""
        work, index = self._work, self._work.stage
        stage = work.file.stages[index]
        name = (stage.name or f"stage-{index}") if len(work.file.stages) > 1 else ""
        texts = [str(instruction) for instruction in (stage.base, *stage.instructions)]
        work.console.stage(name, texts, self._has_base(stage))
        self._announce(str(stage.base), str(stage.base))
        self._stand(stage.base, 0)
        state = self._begin(stage)
        work.console.image(state.image_id)
        for number, instruction in enumerate(stage.instructions, 1):
            self._announce(str(instruction), self._expanded(state, instruction))
            self._stand(instruction, number)
            self._perform(state, instruction)
            self._note(state)
            work.console.image(state.image_id)
        if state.image is not None:
            work.console.stage_done(state.image_id)
        return state

    def _has_base(self, stage: Stage) -> bool:
        """Return whether FROM names an image. A name that cannot be expanded is refused later."""
        try:
            name = Lexer(self._work.file.escape).expand(stage.base.base, self._args.for_from()).lower()
        except Problem:
            return True
        return name != "scratch" and name not in self._work.stages.names[: self._work.stage]

    def _stand(self, instruction: Instruction, number: int) -> None:
        """Begin a step of this stage in the log. ONBUILD's are part of step 0."""
        work = self._work
        place = StepPlace(type(instruction).__name__.upper(), str(instruction), work.project, work.stage, number)
        needs = work.needs[work.stage] if number == 0 else ()
        work.current = StepUnderWay(place, line=instruction.origin.lines.first, needs=needs)
        work.console.begins(work.stage, number)

    def _note(self, state: StageState) -> None:
        work = self._work
        work.console.explained(work.log.add(work.current, state.name, state.image_id))

    def _perform(self, state: StageState, instruction: Instruction) -> None:
        try:
            perform(self._work, state, instruction)
        except Problem as problem:
            self._note_failure(state)
            raise failed(self._work.file, instruction, problem) from None
        except LaminaError as error:
            self._note_failure(state)
            raise placed(self._work.file, instruction, error) from error

    def _note_failure(self, state: StageState) -> None:
        self._work.current.outcome = "failed"
        self._note(state)

    def _begin(self, stage: Stage) -> StageState:
        try:
            origin, platform, args = self._base(stage)
        except Problem as problem:
            raise failed(self._work.file, stage.base, problem) from None
        except LaminaError as error:
            raise placed(self._work.file, stage.base, error) from error
        self._check_runnable(stage, platform)
        state = StageState.begin(stage.name, origin.image, platform, args.stage())
        begin_keys(self._work, state, origin)
        self._work.use_base(origin.image)
        self._note(state)
        triggers = state.config.on_build
        if triggers:
            state.config = msgspec.structs.replace(state.config, on_build=())
            self._triggers(state, triggers, stage)
        return state

    def _check_runnable(self, stage: Stage, platform: Platform) -> None:
        """Raise Unsupported at the stage's beginning when a RUN is for a machine whose programs do not run here.

        What counts is the platform that the base image has, which may be another than the one asked for.
        """
        run = next((each for each in stage.instructions if isinstance(each, Run)), None)
        if run is not None:
            try:
                check_runnable(platform)
            except Unsupported as error:
                raise placed(self._work.file, run, error) from None

    def _base(self, stage: Stage) -> tuple[FileOrigin, Platform, BuildArgs]:
        """Return what a stage begins with, its platform, and the arguments that it inherits.

        Raise Problem, and what `resolve_base` raises.
        """
        work = self._work
        lexer = Lexer(work.file.escape)
        values = self._args.for_from()
        name = lexer.expand(stage.base.base, values)
        if not name:
            advice = "Give the ARG a default, or a value with --build-arg."
            raise Problem(f"base name ({stage.base.base}) should not be blank", advice)
        platform = work.requested_platform
        if stage.base.platform:
            platform = platform_of(stage.base, lexer.process(stage.base.platform, values), values)
        state = work.stages.named(name.lower(), before=work.stage)
        if state is not None:
            return FileOrigin.of_stage(state), state.platform, state.args
        if name == "scratch":
            return FileOrigin.of_image(work, name, None), platform or work.platform, self._args
        image = work.resolve(name, platform)
        return FileOrigin.of_image(work, name, image), image.platform, self._args

    def _triggers(self, state: StageState, triggers: Sequence[str], stage: Stage) -> None:
        work = self._work
        work.console.line(f"# Executing {len(triggers)} build trigger{'s' if len(triggers) > 1 else ''}")
        for trigger in triggers:
            instructions = parse_instructions([trigger])
            if len(instructions) != 1:
                raise failed(work.file, stage.base, Problem("onbuild trigger should be a single expression"))
            instruction = replace(instructions[0], origin=Origin(str(instructions[0]), stage.base.origin.lines))
            self._stand(instruction, 0)
            self._perform(state, instruction)
            self._note(state)

    def _announce(self, text: str, expanded: str) -> None:
        self._work.cancellation.check()
        self._step += 1
        self._work.console.step(self._step, self._total, text, expanded)

    def _expanded(self, state: StageState, instruction: Instruction) -> str:
        """Return the text of an instruction with the values of its variables, but not with those of secrets.

        Rule: moby/buildkit, dockerfile2llb, processCmdEnv. Text that is no word for the lexer stays as it is.
        """
        text = str(instruction)
        if "$" not in text:
            return text
        lexer = Lexer(self._work.file.escape, raw_quotes=True, raw_escapes=True, skip_unset=True)
        try:
            return lexer.expand(text, {**state.words(), **_hidden_secrets(instruction)})
        except Problem:
            return text


def _hidden_secrets(instruction: Instruction) -> dict[str, str]:
    """Return stars for the variables of a RUN that hold secrets."""
    mounts = instruction.mounts if isinstance(instruction, Run) else ()
    parsed = [parse_mount(text, str) for text in mounts]
    return {mount.env or secret_id(mount): "****" for mount in parsed if mount.env is not None}


def _facts(file: Dockerfile, instruction: Instruction) -> dict[str, object]:
    """Return where an instruction stands, for the facts of an error."""
    lines = instruction.origin.lines
    return {"line": lines.first, "last_line": lines.last, "excerpt": excerpt(file.text, lines) if lines.first else ""}


def failed(file: Dockerfile, instruction: Instruction, problem: Problem) -> InvalidInput:
    """Return the error for a rule that an instruction broke, with its line."""
    place = _facts(file, instruction)
    facts = {**problem.facts, "fix": problem.advice, **place}
    return InvalidInput(problem.message, advice=_advice(problem.advice, place), **facts)


def placed(file: Dockerfile, instruction: Instruction, error: LaminaError) -> LaminaError:
    """Return the same error with the line of its instruction; kind, message and facts stay."""
    place = {key: value for key, value in _facts(file, instruction).items() if key not in error.facts}
    # Scripts read "The command … returned …" whole.
    is_whole = "line" in error.facts or isinstance(error, CommandFailed)
    advice = error.advice if is_whole else _advice(error.advice, place)
    return type(error)(error.message, advice=advice, **{"fix": error.advice, **error.facts, **place})


def _advice(advice: str | None, place: dict[str, object]) -> str | None:
    if not place.get("excerpt"):
        return advice
    lead = f"{advice} " if advice else ""
    return f"{lead}Dockerfile line {place['line']}:\n{place['excerpt']}"
