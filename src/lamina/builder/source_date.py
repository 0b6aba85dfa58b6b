"""SOURCE_DATE_EPOCH: seconds, or what it names: the context, a named context, or a stage that adds one remote source.

Rule: moby/buildkit, frontend/dockerfile/dockerfile2llb/epoch.go. A git repository has the time of its commit; a file
from the web that of its Last-Modified, else the newest time in it if it is an archive. Without a time nothing is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from lamina.builder.arguments import epoch_ns
from lamina.builder.build_run import BuildRun
from lamina.builder.context.archive import ArchiveTree
from lamina.builder.context.git_address import is_git
from lamina.builder.context.source import newest_file
from lamina.builder.copy.add import Downloads, is_archive, remote_words
from lamina.dockerfile.dockerfile import Stage
from lamina.dockerfile.expansion import Expansion
from lamina.dockerfile.instructions import Add, Arg
from lamina.dockerfile.position import Problem
from lamina.errors import InvalidInput
from lamina.layers.decompress import decompressed

_CONTEXT = "context"
_SOURCE_ONLY = "SOURCE_DATE_EPOCH stage does not meet source-only requirements"
_FIX = "Write FROM scratch AS NAME, and one ADD of an address."


def source_date(text: str, work: BuildRun, values: Mapping[str, str]) -> int | None:
    """Return the seconds that a value of SOURCE_DATE_EPOCH means, None where there is no time.

    `values` are the arguments in front of the stages. Raise InvalidInput for other text, Problem for a stage that is
    no source, and what fetching it raises.
    """
    if text == _CONTEXT:
        return work.context.epoch
    if work.rooms.contexts.has(text):
        return work.rooms.contexts.epoch(text)
    stage = next((each for each in work.file.stages if each.name and each.name.lower() == text.lower()), None)
    if stage is not None:
        return _date_of_stage(stage, work, values)
    epoch = epoch_ns(text)
    return None if epoch is None else epoch // 10**9


def _date_of_stage(stage: Stage, work: BuildRun, values: Mapping[str, str]) -> int | None:
    """Return the time of the one remote source that a stage adds to nothing. Raise Problem for another stage."""
    build_args = {name: value for name, value in work.request.build_args.items() if value is not None}
    names = dict(values)
    if Expansion(names, work.file.escape).word(stage.base.base) != "scratch":
        raise Problem("SOURCE_DATE_EPOCH stage must use FROM scratch", _FIX)
    source: Add | None = None
    for instruction in stage.instructions:
        expanded = Expansion(names, work.file.escape).apply(instruction)
        if isinstance(expanded, Arg):
            defaults = {name: default for name, default in expanded.arguments if default is not None}
            names |= defaults | {name: build_args[name] for name, _ in expanded.arguments if name in build_args}
        elif isinstance(expanded, Add):
            if source is not None:
                raise Problem("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD", _FIX)
            source = expanded
        else:
            name = type(instruction).__name__.upper()
            raise Problem(f"{_SOURCE_ONLY}: unsupported {name} instruction", _FIX)
    if source is None:
        raise Problem("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD", _FIX)
    return _date_of_source(source, work)


def _date_of_source(instruction: Add, work: BuildRun) -> int | None:
    words, remote = remote_words(instruction.sources)
    if words or instruction.inline or len(remote) != 1:
        raise Problem("SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD", _FIX)
    with ExitStack() as closing:
        downloads = Downloads(work.rooms.temporary, work.console, work.cancellation, closing)
        location, checksum = work.rooms.policy.address(remote[0], instruction.checksum)
        if is_git(location):
            downloads.clone(location, False, checksum)
            return downloads.commit_seconds
        source = downloads.fetch(location, checksum)
        if source.node.entry.mtime_ns:
            return source.node.entry.mtime_ns // 10**9
        if not is_archive(source):
            return None
        try:
            with source.tree.read(source.node) as data:
                tree = ArchiveTree(decompressed(data), work.rooms.temporary, keep_owners=True)
        except InvalidInput:
            return None
        closing.callback(tree.close)
        return newest_file(tree)
