"""A whole build, classic semantics: stages one after the other, each instruction a step and an image.

Rule: moby's classic builder, builder/dockerfile/{builder,evaluator}.go of dockerd 20.10, and its output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from lamina.api.build import BuildRequest
from lamina.builder.arguments import BuildArgs, epoch_ns, platform_values
from lamina.builder.build_run import BuildRooms, BuildRun, SshAgents
from lamina.builder.cache import StepCache
from lamina.builder.console import Console
from lamina.builder.context.source import BuildContext
from lamina.builder.file_sums import load_sums, save_sums
from lamina.builder.squash import squash
from lamina.builder.stage import StageState
from lamina.builder.steps import perform
from lamina.cancellation import NEVER, Cancellation
from lamina.dockerfile.directives import Directive, check_options
from lamina.dockerfile.dockerfile import Dockerfile, Stage, parse, parse_instructions
from lamina.dockerfile.expand import Lexer
from lamina.dockerfile.expansion import Expansion
from lamina.dockerfile.instructions import Arg, Instruction, Label, Origin
from lamina.dockerfile.position import Lines, Problem, excerpt
from lamina.dockerfile.split import Pair
from lamina.dockerfile.suggest import did_you_mean
from lamina.errors import Cancelled, CommandFailed, InvalidInput, LaminaError
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.record import check_tag
from lamina.progress import Report, ignore


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The image that was built, tagged already, and the IDs of all stages that were built, in order."""

    image: Image
    stages: tuple[str, ...] = ()


def build(
    context: BuildContext,
    request: BuildRequest,
    rooms: BuildRooms,
    report: Report = ignore,
    cancellation: Cancellation = NEVER,
    *,
    secrets: Mapping[str, bytes] | None = None,
    agents: SshAgents | None = None,
    console: Console | None = None,
) -> BuildResult:
    """Build the context's Dockerfile and tag the result; progress goes to `report` as Docker's classic lines.

    A `console` hears of the steps instead. The caller closes `context`. `secrets` and `agents` are those of RUN
    --mount. The images of finished steps stay for the cache when a later step fails. Raise InvalidInput, NotFound,
    Unsupported with the Dockerfile's line in `facts`, CommandFailed when a RUN fails, Cancelled, and what
    `resolve_base` raises.
    """
    console = console or Console(report, quiet=request.quiet)
    try:
        with rooms.store.lease(ttl=24 * 3600.0) as lease:
            work = _prepare(context, request, rooms, console, {} if secrets is None else secrets, cancellation)
            work.lease, work.agents = lease, agents
            with work.closing:
                return _Build(work).run()
    except Cancelled:
        console.line("Build cancelled")
        raise
    except LaminaError as error:
        console.failed(error)
        raise
    finally:
        if context.identity:
            save_sums(rooms.store, context.identity, context.sums)


def _prepare(
    context: BuildContext,
    request: BuildRequest,
    rooms: BuildRooms,
    console: Console,
    secrets: Mapping[str, bytes],
    cancellation: Cancellation,
) -> BuildRun:
    # Values that cannot be understood are refused before the first step.
    epoch_ns(request.build_args)
    tags = tuple(check_tag(Reference.parse(text).with_default_tag()) for text in request.tags)
    platform = Platform.parse(request.platform) if request.platform else None
    file = parse(context.dockerfile)
    if context.identity and not context.sums.rows:
        context.sums = load_sums(rooms.store, context.identity)
    file = _with_labels(_up_to_target(file, request.target), request.labels)
    for directive in file.directives:
        if (note := not_followed(directive)) is not None:
            console.line(f"[WARNING]: {note}")
    for warning in file.warnings:
        console.line(f"[WARNING]: {warning.message}")
    if file.warnings:
        console.line("[WARNING]: Empty continuation lines will become errors in a future release.")
    sources = [image for name in request.cache_from if (image := rooms.images.find(name)) is not None]
    cache = StepCache(rooms.store, rooms.images, not request.no_cache, sources)
    return BuildRun(rooms, request, console, cache, file, context, tags, platform, secrets, cancellation)


def _up_to_target(file: Dockerfile, target: str) -> Dockerfile:
    if not target:
        return file
    index = file.stage_index(target)
    if index is None:
        names = [stage.name for stage in file.stages if stage.name]
        advice = did_you_mean(target, names) or f"Stages: {', '.join(names) or 'none has a name'}."
        raise InvalidInput(f"failed to reach build target {target} in Dockerfile", advice=advice, target=target)
    return replace(file, stages=file.stages[: index + 1])


def _with_labels(file: Dockerfile, labels: Mapping[str, str]) -> Dockerfile:
    """Add the labels of the request as LABEL instructions at the end, sorted by name."""
    added = tuple(
        Label(origin=Origin(f"LABEL {name}={value}", Lines(0, 0)), pairs=(Pair(name, value),), expand=False)
        for name, value in sorted(labels.items())
    )
    last = file.stages[-1]
    return replace(file, stages=(*file.stages[:-1], Stage(last.base, last.instructions + added)))


class _Build:
    """The loop over stages and steps, counted as in the output."""

    def __init__(self, work: BuildRun) -> None:
        self._work = work
        self._step = 0
        stages = work.file.stages
        self._total = len(work.file.arguments) + sum(1 + len(stage.instructions) for stage in stages)
        values = platform_values(work.platform, Platform.host())
        self._args = BuildArgs(work.request.build_args, values)

    def run(self) -> BuildResult:
        work = self._work
        for argument in work.file.arguments:
            self._announce(str(argument))
            self._global_argument(argument)
        for stage in work.file.stages:
            work.done.append(self._stage(stage))
        unused = self._args.unused()
        if unused:
            work.console.line(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed")
        return self._finish(work.done[-1])

    def _finish(self, last: StageState) -> BuildResult:
        work = self._work
        image = last.image
        if image is None:
            raise InvalidInput("No image was generated", advice="Is your Dockerfile empty?")
        if work.request.squash:
            image = squash(work.rooms, image, last.base)
            work.console.stage_done(str(image.id))
        if last.base is None or image.id != last.base.id:
            work.rooms.images.publish("create", image, str(image.id))
        # Create it once more, with its names: a prune in between may have taken an image without names.
        image = work.rooms.images.create(image.config, references=work.tags, parent=image.parent)
        work.console.built(str(image.id), [tag.familiar() for tag in work.tags])
        return BuildResult(image, tuple(state.image_id for state in work.done))

    def _announce(self, text: str) -> None:
        self._work.cancellation.check()
        self._step += 1
        self._work.console.step(self._step, self._total, text)

    def _global_argument(self, argument: Arg) -> None:
        expansion = Expansion(self._args.for_from(), self._work.file.escape)
        try:
            expanded = expansion.apply(argument)
        except Problem as problem:
            raise _failed(self._work.file, argument, problem) from None
        for name, default in expanded.arguments if isinstance(expanded, Arg) else ():
            self._args.declare_meta(name, default)

    def _stage(self, stage: Stage) -> StageState:
        work = self._work
        if stage.name and any(state.name == stage.name for state in work.done):
            raise _failed(work.file, stage.base, Problem(f"{stage.name} stage name already used", "Choose another."))
        name = (stage.name or f"stage-{len(work.done)}") if len(work.file.stages) > 1 else ""
        work.console.stage(name, [str(instruction) for instruction in (stage.base, *stage.instructions)])
        self._announce(str(stage.base))
        state = self._begin(stage)
        work.console.image(state.image_id)
        for instruction in stage.instructions:
            self._announce(str(instruction))
            self._perform(state, instruction)
            work.console.image(state.image_id)
        if state.image is not None:
            work.console.stage_done(state.image_id)
        return state

    def _perform(self, state: StageState, instruction: Instruction) -> None:
        try:
            perform(self._work, state, instruction)
        except Problem as problem:
            raise _failed(self._work.file, instruction, problem) from None
        except LaminaError as error:
            raise _placed(self._work.file, instruction, error) from error

    def _begin(self, stage: Stage) -> StageState:
        try:
            base, platform, args = self._base(stage)
        except Problem as problem:
            raise _failed(self._work.file, stage.base, problem) from None
        except LaminaError as error:
            raise _placed(self._work.file, stage.base, error) from error
        state = StageState.begin(stage.name, base, platform, args.stage())
        triggers = state.config.on_build
        if triggers:
            state.config = msgspec.structs.replace(state.config, on_build=())
            self._triggers(state, triggers, stage)
        return state

    def _base(self, stage: Stage) -> tuple[Image | None, Platform, BuildArgs]:
        """Return the image that a stage begins with, and the arguments that it inherits.

        Raise Problem, and what `resolve_base` raises.
        """
        work = self._work
        lexer = Lexer(work.file.escape)
        values = self._args.for_from()
        name = lexer.expand(stage.base.base, values)
        if not name:
            advice = "Give the ARG a default, or a value with --build-arg."
            raise Problem(f"base name ({stage.base.base}) should not be blank", advice)
        platform_name = lexer.expand(stage.base.platform, values)
        platform = Platform.parse(platform_name) if platform_name else work.requested_platform
        for state in reversed(work.done):
            if state.name and state.name == name.lower():
                return state.image, state.platform, state.args
        if name == "scratch":
            return None, platform or work.platform, self._args
        image = work.resolve(name, platform)
        return image, image.platform, self._args

    def _triggers(self, state: StageState, triggers: Sequence[str], stage: Stage) -> None:
        work = self._work
        work.console.line(f"# Executing {len(triggers)} build trigger{'s' if len(triggers) > 1 else ''}")
        for trigger in triggers:
            instructions = parse_instructions([trigger])
            if len(instructions) != 1:
                raise _failed(work.file, stage.base, Problem("onbuild trigger should be a single expression"))
            instruction = replace(instructions[0], origin=Origin(str(instructions[0]), stage.base.origin.lines))
            self._perform(state, instruction)


_OWN_LANGUAGE = re.compile(r"(?:.*/)?dockerfile(?:-upstream)?(?:[:@].*)?")  # Docker's frontend, or a mirror of it


def not_followed(directive: Directive) -> str | None:
    """Return a warning about a directive that the builder does not follow; None when nothing is lost."""
    if directive.name == "syntax" and not _OWN_LANGUAGE.fullmatch(directive.value.split(" ")[0]):
        return f"line {directive.line}: # syntax={directive.value} is not supported yet, the language is Docker's own"
    if directive.name == "check" and check_options(directive.value).error:
        return f"line {directive.line}: # check=error=true is not supported yet, no rule is checked"
    return None


def _facts(file: Dockerfile, instruction: Instruction) -> dict[str, object]:
    """Return where an instruction stands, for the facts of an error."""
    lines = instruction.origin.lines
    return {"line": lines.first, "last_line": lines.last, "excerpt": excerpt(file.text, lines) if lines.first else ""}


def _failed(file: Dockerfile, instruction: Instruction, problem: Problem) -> InvalidInput:
    """Return the error for a rule that an instruction broke, with its line."""
    place = _facts(file, instruction)
    return InvalidInput(problem.message, advice=_advice(problem.advice, place), **place)


def _placed(file: Dockerfile, instruction: Instruction, error: LaminaError) -> LaminaError:
    """Return the same error with the line of its instruction; kind, message and facts stay."""
    place = {key: value for key, value in _facts(file, instruction).items() if key not in error.facts}
    # Scripts read "The command … returned …" whole.
    is_whole = "line" in error.facts or isinstance(error, CommandFailed)
    advice = error.advice if is_whole else _advice(error.advice, place)
    return type(error)(error.message, advice=advice, **error.facts, **place)


def _advice(advice: str | None, place: dict[str, object]) -> str | None:
    if not place.get("excerpt"):
        return advice
    lead = f"{advice} " if advice else ""
    return f"{lead}Dockerfile line {place['line']}:\n{place['excerpt']}"
