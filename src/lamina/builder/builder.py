"""A whole build, classic semantics: each instruction a step and an image, shown stage by stage.

Rule: moby's classic builder, builder/dockerfile/{builder,evaluator}.go of dockerd 20.10, and its output.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from lamina.api.build import BuildRequest
from lamina.api.build_steps import BuildStep, PlannedStage
from lamina.builder.arguments import BuildArgs, predefined_values
from lamina.builder.build_run import BuildRooms, BuildRun, BuildUse, SshAgents
from lamina.builder.cache.holders import note_final
from lamina.builder.cache.records import Cached
from lamina.builder.cache.step_cache import StepCache
from lamina.builder.cache_exchange.cache_options import cache_sources
from lamina.builder.checking import BuildChecks, check_beginning, surroundings_of
from lamina.builder.console import Console
from lamina.builder.context.source import BuildContext
from lamina.builder.file_sums import load_sums, save_sums
from lamina.builder.live_console import console_of
from lamina.builder.parallel_stages import build_stages
from lamina.builder.source_date import source_date
from lamina.builder.squash import Squash, squash
from lamina.builder.stage import StageState
from lamina.builder.stage_build import StageBuild, StepCounter, failed
from lamina.builder.stages import Stages
from lamina.builder.step_log import StepLog
from lamina.cancellation import NEVER, Cancellation
from lamina.dockerfile.checks.stage_names import StageNames
from lamina.dockerfile.directives import Directive
from lamina.dockerfile.dockerfile import Dockerfile, Stage, parse
from lamina.dockerfile.expand import Lexer
from lamina.dockerfile.expansion import Expansion
from lamina.dockerfile.instructions import Arg, Label, Origin, Run
from lamina.dockerfile.mounts import parse_mount
from lamina.dockerfile.position import Lines, Problem
from lamina.dockerfile.split import Pair
from lamina.errors import Cancelled, InvalidInput, LaminaError, Unsupported
from lamina.formats.config import ImageConfig
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.image import Image
from lamina.images.record import check_tag
from lamina.progress import Report, ignore


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The image that was built, tagged already, and the IDs of all stages that were built, in order.

    `base` is the image under the last stage, `epoch` the build's SOURCE_DATE_EPOCH in seconds, `use` what was taken
    from outside, `steps` what became of each step, `cached` what other engines can use. `metadata` is what exporters
    told, by BuildKit's keys.
    """

    image: Image
    stages: tuple[str, ...] = ()
    base: Image | None = None
    epoch: int | None = None
    use: BuildUse = field(default_factory=BuildUse)
    steps: tuple[BuildStep, ...] = ()
    cached: tuple[Cached, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


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
    log: StepLog | None = None,
) -> BuildResult:
    """Build the context's Dockerfile and tag the result; progress goes to `report` as Docker's classic lines.

    A `console` hears of the steps instead, and `log` learns what became of each, also when the build fails. The caller
    closes `context`. `secrets` and `agents` are those of RUN --mount. The images of finished steps stay for the cache
    when a later step fails. Raise InvalidInput, NotFound, Unsupported with the Dockerfile's line in `facts`,
    CommandFailed when a RUN fails, Cancelled, and what `resolve_base` raises.
    """
    console = console or console_of(request, report)
    try:
        with rooms.store.lease(ttl=24 * 3600.0) as lease:
            file = _parsed(context, request, console)
            work = _prepare(file, context, request, rooms, console, {} if secrets is None else secrets, cancellation)
            work.lease, work.agents, work.log = lease, agents, log or StepLog()
            with work.closing:
                work.closing.callback(work.cache.settle)
                _import_caches(work)
                target = len(work.file.stages) - 1
                checks = BuildChecks(file, target, surroundings_of(request, file, context), console)
                checks.begin(lambda name: None if request.pull else rooms.images.find(name))
                return _Build(work, checks).run()
    except Cancelled:
        console.line("Build cancelled")
        raise
    except LaminaError as error:
        console.failed(error)
        raise
    finally:
        if context.identity:
            save_sums(rooms.store, context.identity, context.sums)


def _parsed(context: BuildContext, request: BuildRequest, console: Console) -> Dockerfile:
    """Return the Dockerfile. One that is wrong is checked up to its mistake, and then raises InvalidInput."""
    try:
        return parse(context.dockerfile)
    except InvalidInput:
        beginning = check_beginning(context, request)
        if beginning is not None:
            console.findings(beginning.findings)
        raise


def _prepare(
    file: Dockerfile,
    context: BuildContext,
    request: BuildRequest,
    rooms: BuildRooms,
    console: Console,
    secrets: Mapping[str, bytes],
    cancellation: Cancellation,
) -> BuildRun:
    # Values that cannot be understood are refused before the first step.
    Squash.parse(request.squash)
    tags = tuple(check_tag(Reference.parse(text).with_default_tag()) for text in request.tags)
    platform = Platform.parse(request.platform) if request.platform else None
    if context.identity and not context.sums.rows:
        context.sums = load_sums(rooms.store, context.identity)
    stages = [_or_context(stage, rooms.contexts.has) for stage in file.stages[: file.target(request.target) + 1]]
    file = _with_labels(replace(file, stages=tuple(stages)), request.labels)
    for directive in file.directives:
        _check_language(directive)
    for warning in file.warnings:
        console.line(f"[WARNING]: {warning.message}")
    if file.warnings:
        console.line("[WARNING]: Empty continuation lines will become errors in a future release.")
    sources = [image for name in request.cache_from if (image := rooms.images.find(name)) is not None]
    cache = StepCache(rooms.store, rooms.images, not request.no_cache, sources)
    names = Stages([stage.name for stage in file.stages])
    return BuildRun(rooms, request, console, cache, file, context, tags, platform, secrets, cancellation, names)


def _import_caches(work: BuildRun) -> None:
    """Open the caches that the request names, until the build ends. Raise InvalidInput, Unsupported, Cancelled."""
    places, rooms = cache_sources(work.request.cache_imports), work.rooms
    if places and not work.request.no_cache:
        if rooms.caches is None:
            raise Unsupported("this build has no place to import a cache from", advice="Leave --cache-from out.")
        caches = rooms.caches.caches(places, rooms.store, work.platform, work.console, work.cancellation)
        work.cache.imports = work.closing.enter_context(caches)


def _or_context(stage: Stage, is_context: Callable[[str], bool]) -> Stage:
    """Return a stage, or the context of its name, which takes its place."""
    if not stage.name or not is_context(stage.name):
        return stage
    return Stage(replace(stage.base, base=stage.name), ())


def _with_labels(file: Dockerfile, labels: Mapping[str, str]) -> Dockerfile:
    """Add the labels of the request as LABEL instructions at the end, sorted by name."""
    added = tuple(
        Label(origin=Origin(f"LABEL {name}={value}", Lines(0, 0)), pairs=(Pair(name, value),), expand=False)
        for name, value in sorted(labels.items())
    )
    last = file.stages[-1]
    return replace(file, stages=(*file.stages[:-1], Stage(last.base, last.instructions + added)))


class _Build:
    """The arguments in front of the stages, the stages, and the image that they end with."""

    def __init__(self, work: BuildRun, checks: BuildChecks) -> None:
        self._work = work
        self._checks = checks
        self._names = StageNames(work.file)
        stage = work.request.target or work.file.stages[-1].name
        values = predefined_values(work.platform, Platform.host(), stage)
        self._args = BuildArgs(work.request.build_args, values)

    def run(self) -> BuildResult:
        work = self._work
        counter = StepCounter(work.file)
        for number, argument in enumerate(work.file.arguments):
            work.cancellation.check()
            work.console.step(number + 1, counter.total, str(argument), str(argument))
            self._global_argument(argument)
        self._settle_epoch()
        work.needs = [tuple(sorted({*self._names.uses(base, index)})) for index, base in enumerate(self._bases())]
        work.console.planned(self._plan())
        build_stages(work, lambda part: StageBuild(part, self._args, counter).build(), self._needed)
        unused = self._args.unused()
        if unused:
            work.console.line(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed")
        return self._finish(work.stages.built())

    def _needed(self, target: int) -> Collection[int]:
        """Return the stages that one is made from, and it. Docker's classic builder builds all in front of it too."""
        if self._work.console.every_stage:
            return range(target + 1)
        return self._names.needed(self._bases(), target)

    def _bases(self) -> list[str]:
        """Return what the stages begin with, "" where that is wrong: it is refused when the stage is built."""
        lexer, values = Lexer(self._work.file.escape), self._args.for_from()
        bases = []
        for stage in self._work.file.stages:
            try:
                bases.append(lexer.expand(stage.base.base, values))
            except Problem:
                bases.append("")
        return bases

    def _plan(self) -> list[PlannedStage]:
        work = self._work
        needed = self._needed(len(work.file.stages) - 1)
        return [
            PlannedStage(
                index, stage.name, (str(stage.base), *map(str, stage.instructions)), needs, index not in needed
            )
            for index, (stage, needs) in enumerate(zip(work.file.stages, work.needs, strict=True))
        ]

    def _empty_image(self, stage: StageState) -> Image:
        """Make the image of FROM scratch and nothing else."""
        config = ImageConfig.build(platform=stage.platform, config=stage.config, diff_ids=())
        return self._work.rooms.images.create(config, built=True)

    def _finish(self, states: Sequence[StageState]) -> BuildResult:
        work, last = self._work, states[-1]
        self._checks.finish(work.resolved.get)
        image = last.image or self._empty_image(last)
        if (how := Squash.parse(work.request.squash)) is not None:
            image = squash(work.rooms.images, image, last.base, how, work.cancellation)
            work.console.stage_done(str(image.id))
        if last.base is None or image.id != last.base.id:
            work.rooms.images.publish("create", image, str(image.id))
        # Create it once more, with its names: a prune in between may have taken an image without names.
        image = work.rooms.images.create(image.config, references=work.tags, parent=image.parent)
        with work.rooms.store.transaction() as tx:
            note_final(tx, image.id)
        work.console.built(str(image.id), [tag.familiar() for tag in work.tags])
        epoch = last.args.epoch_ns
        stages = tuple(state.image_id for state in states)
        return BuildResult(
            image,
            stages,
            last.base,
            None if epoch is None else epoch // 10**9,
            _use(work),
            work.log.all(parse(work.context.dockerfile)),
            work.cache.steps(),
        )

    def _settle_epoch(self) -> None:
        """Find the time that SOURCE_DATE_EPOCH means. Raise InvalidInput for one that means none."""
        work, text = self._work, self._args.epoch
        if not text:
            return
        try:
            self._args.set_epoch(source_date(text, work, self._args.for_from()))
        except Problem as problem:
            raise InvalidInput(problem.message, advice=problem.advice) from None

    def _global_argument(self, argument: Arg) -> None:
        expansion = Expansion(self._args.for_from(), self._work.file.escape, self._args.overridden)
        try:
            expanded = expansion.apply(argument)
        except Problem as problem:
            raise failed(self._work.file, argument, problem) from None
        for name, default in expanded.arguments if isinstance(expanded, Arg) else ():
            self._args.declare_meta(name, default)


_OWN_LANGUAGE = re.compile(r"(?:.*/)?dockerfile(?:-upstream)?(?:[:@].*)?")  # Docker's frontend, or a mirror of it


def _check_language(directive: Directive) -> None:
    """Raise Unsupported for a `# syntax=` of another language than Docker's."""
    if directive.name == "syntax" and not _OWN_LANGUAGE.fullmatch(directive.value.split(" ")[0]):
        raise Unsupported(
            f"line {directive.line}: # syntax={directive.value} names a frontend that lamina does not have",
            advice="Remove the line if the file is in Docker's language.",
            line=directive.line,
        )


def _use(work: BuildRun) -> BuildUse:
    """Return what a build took from outside, as far as its steps tell."""
    runs = [each for stage in work.file.stages for each in stage.instructions if isinstance(each, Run)]
    secrets, agents = dict[str, bool](), dict[str, bool]()
    for text in (mount for run in runs for mount in run.mounts):
        with suppress(Problem):  # a step that was built has none that is wrong
            mount = parse_mount(text, lambda word: word)
            if mount.type in ("secret", "ssh"):
                needs = secrets if mount.type == "secret" else agents
                id = mount.id or ("default" if mount.type == "ssh" else posixpath.basename(mount.target))
                needs[id] = needs.get(id, True) and not mount.required
    return BuildUse(
        tuple(dict.fromkeys(work.sources)),
        tuple(dict.fromkeys(work.downloads)),
        tuple(sorted(secrets.items())),
        tuple(sorted(agents.items())),
        networked=any(run.network != "none" for run in runs) and work.request.network != "none",
    )
