"""The steps COPY and ADD: sources, destination, cache, one layer.

Where all sums are known (a tar context, or a directory that was built before) the cache is asked before a byte is
read. Otherwise the layer is written while its files are summed, and thrown away if the cache turns out to have it.
`copy_memory` tells what a COPY became when its files are as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache

from lamina.builder.build_run import BuildRun
from lamina.builder.cache.step_cache import Step
from lamina.builder.context.git_address import is_git
from lamina.builder.copy.add import Downloads, check_checksum, is_archive, place_archive, remote_words
from lamina.builder.copy.copy_memory import CopyMemory
from lamina.builder.copy.inputs import digest_of_files
from lamina.builder.copy.missing import MissingSource
from lamina.builder.copy.ownership import Chmod, Owner, parse_owner
from lamina.builder.copy.place import Placing, absolute, check_destination, whole_seconds
from lamina.builder.copy.sources import CopySource, contents, docker_name, fingerprint, local_sources, without_excluded
from lamina.builder.file_sums import Sums
from lamina.builder.layer_plan import LayerPlan, write_files
from lamina.builder.stage import StageState
from lamina.builder.wording import file_nop
from lamina.dockerfile.ignore import IgnoreMatcher, parse_patterns
from lamina.dockerfile.instructions import Add, Copy
from lamina.dockerfile.position import Problem
from lamina.errors import InvalidInput
from lamina.images.image import Image
from lamina.layers.tree import MemoryTree, Tree, find


@dataclass(slots=True)
class _Gathered:
    """The sources of one step, the memories of their trees, and what to close."""

    sources: list[CopySource] = field(default_factory=list)
    sums: dict[int, Sums] = field(default_factory=dict)
    closing: ExitStack = field(default_factory=ExitStack)

    @property
    def newest_ns(self) -> int:
        """Return the newest time among the sources."""
        newest = max((node.entry.mtime_ns for source in self.sources for node in source.nodes), default=0)
        return whole_seconds(newest)


def copy_step(
    work: BuildRun, state: StageState, instruction: Copy | Add, origin: Image | None, from_image: bool
) -> None:
    """Do a COPY or ADD whose words are expanded. `origin` is the image of --from, None for scratch or the context.

    Raise Problem.
    """
    memory = CopyMemory.of(work, state, instruction, origin, from_image)
    if memory is not None:
        remembered_step = memory.recall(work, state)
        if remembered_step is not None and work.hit(state, remembered_step):
            return
    keyword = type(instruction).__name__.upper()
    gathered = _Gathered()
    with gathered.closing:
        try:
            _gather(work, state, instruction, gathered, origin, from_image)
        except (Problem, InvalidInput) as error:
            raise Problem(f"{keyword} failed: {error.message}", error.advice, **error.facts) from None
        unpacks = _unpacks(instruction)
        check_destination(instruction, gathered.sources, lambda source: unpacks(source) and is_archive(source))
        if patterns := parse_patterns(instruction.exclude):
            gathered.sources = without_excluded(gathered.sources, IgnoreMatcher(patterns))
        step = _perform(work, state, instruction, gathered, keep_owner=from_image and not instruction.chown)
        if memory is not None:
            memory.keep(work, step)


def _gather(
    work: BuildRun,
    state: StageState,
    instruction: Copy | Add,
    gathered: _Gathered,
    origin: Image | None,
    from_image: bool,
) -> None:
    words = instruction.sources
    if isinstance(instruction, Add):
        words, remote = remote_words(words)
        check_checksum(instruction.checksum, len(instruction.sources) + len(instruction.inline), len(remote))
        downloads = Downloads(work.rooms.temporary, work.console, work.cancellation, gathered.closing)
        for word in remote:
            location, checksum = work.rooms.policy.address(word, instruction.checksum)
            if is_git(location):
                source = downloads.clone(location, bool(instruction.keep_git_dir), checksum)
            else:
                source = downloads.fetch(location, checksum)
            gathered.sources.append(source)
            gathered.sums[id(source.tree)] = Sums()
        work.downloads += downloads.done
    if words:
        tree, sums = _tree(work, origin, from_image)
        gathered.sums[id(tree)] = sums
        parents = isinstance(instruction, Copy) and instruction.parents
        missing = MissingSource() if from_image else MissingSource(work.context.root, work.context.ignored)
        gathered.sources.extend(local_sources(tree, words, missing, context=not from_image, parents=parents))
    if instruction.inline:
        files = {file.name: file.text.encode("utf-8", "surrogateescape") for file in instruction.inline}
        inline = MemoryTree(files, mtime_ns=state.time_ns)
        gathered.sums[id(inline)] = Sums()
        for name in files:
            node = find(inline, name)
            if node is not None:
                gathered.sources.append(CopySource(name, node, inline, (node,)))


def _tree(work: BuildRun, origin: Image | None, from_image: bool) -> tuple[Tree, Sums]:
    if from_image:
        tree = work.files_of(origin).tree
        return tree, work.sums_of(origin)
    if work.context.tree is None:
        raise Problem("no build context", "Give a folder instead of a Dockerfile alone.")
    return work.context.tree, work.context.sums


def _perform(
    work: BuildRun, state: StageState, instruction: Copy | Add, gathered: _Gathered, *, keep_owner: bool
) -> Step:
    """Do the step, or take it from the cache. Return the step."""
    step: Step | None = None
    if all(gathered.sums[id(source.tree)].known(node) for source, node in contents(gathered.sources)):
        step = _step(work, state, instruction, gathered)
        if work.hit(state, step):
            return step
    time_ns = state.dated(gathered.newest_ns)
    plan, archives = _plan(work, state, instruction, gathered, keep_owner)
    members = list(plan.members(time_ns))
    as_written = bool(instruction.chmod or (instruction.chown and not keep_owner))

    @cache
    def inputs() -> dict[str, str]:
        files = digest_of_files(members, archives, gathered.sums, as_written=as_written)
        return _inputs(work, state, instruction, files)

    if step is not None and work.reuse(state, step, inputs()):
        return step
    with work.rooms.store.layers.create() as pending:
        ingested = pending.fill(lambda builder: write_files(builder, members, gathered.sums), work.cancellation)
        if step is None:
            step = _step(work, state, instruction, gathered)
            if work.hit(state, step) or work.reuse(state, step, inputs()):
                return step
        layer = pending.commit(ingested) if ingested.entries else None
    work.commit(state, step, layer, time_ns, inputs())
    return step


def _inputs(work: BuildRun, state: StageState, instruction: Copy | Add, files: str) -> dict[str, str]:
    """Return what decides about the layer. With --link the files below do not.

    Rule: Dockerfile reference, "COPY --link".
    """
    inputs = work.inputs(state, {"files": files})
    if instruction.link:
        del inputs["base"]
    return inputs


def _step(work: BuildRun, state: StageState, instruction: Copy | Add, gathered: _Gathered) -> Step:
    name = docker_name(gathered.sources, gathered.sums)
    keyword = type(instruction).__name__.upper()
    chown = f"--chown={instruction.chown}" if instruction.chown else ""
    created_by = file_nop(state.config, f"{keyword} {chown}{_flags(instruction)}{name} in {instruction.destination} ")
    content = fingerprint(gathered.sources, gathered.sums)
    # A step without --link leaves no record that holds on another base, so it does not stand for one with it.
    return work.step(state, created_by, state.config, f"{content} --link" if instruction.link else content)


def _flags(instruction: Copy | Add) -> str:
    """Return the flags that change the result and that dockerd's classic builder does not know."""
    flags = [f"--chmod={instruction.chmod}"] if instruction.chmod else []
    flags += [f"--exclude={pattern}" for pattern in instruction.exclude]
    if isinstance(instruction, Copy) and instruction.parents:
        flags.append("--parents")
    if isinstance(instruction, Add) and instruction.unpack is not None:
        flags.append(f"--unpack={str(instruction.unpack).lower()}")
    return "".join(f"{flag} " for flag in flags)


def _plan(
    work: BuildRun, state: StageState, instruction: Copy | Add, gathered: _Gathered, keep_owner: bool
) -> tuple[LayerPlan, list[CopySource]]:
    """Return the files of the layer, and the sources that were unpacked for it."""
    below = state.files.tree
    plan = LayerPlan(below)
    owner = parse_owner(instruction.chown, below) if instruction.chown else Owner()
    placing = Placing(
        plan,
        absolute(state.config.working_dir, instruction.destination),
        None if keep_owner else owner,
        Chmod.parse(instruction.chmod),
        latest_ns=state.args.epoch_ns,
    )
    unpack: Callable[[CopySource], bool] = _unpacks(instruction)
    archive_owner = owner if instruction.chown else None
    archives: list[CopySource] = []
    for source in gathered.sources:
        if unpack(source) and place_archive(source, placing, archive_owner, work.rooms.temporary, gathered.closing):
            archives.append(source)
        else:
            placing.place(source)
    return plan, archives


def _unpacks(instruction: Copy | Add) -> Callable[[CopySource], bool]:
    """Return a function that tells whether a source is to be unpacked if it is an archive."""
    if not isinstance(instruction, Add) or instruction.unpack is False:
        return lambda source: False
    always = instruction.unpack
    return lambda source: not source.node.is_directory and (always is True or not source.from_url)
