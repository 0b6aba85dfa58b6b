"""`build --verify`: the same build twice without the cache, and the first file in which the two differ."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lamina.api.build import BuildRequest
from lamina.api.build_steps import BuildStep
from lamina.builder.build_run import BuildRooms
from lamina.builder.builder import BuildResult, build
from lamina.builder.cache.explain import content_of
from lamina.builder.context.source import BuildContext
from lamina.builder.step_log import StepLog
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import CommandFailed
from lamina.formats.digest import Digest
from lamina.formats.times import format_time
from lamina.images.images import Images
from lamina.layers.layer import Layer
from lamina.layers.tree import Node, Tree, walk
from lamina.layers.union import StackTree
from lamina.progress import Report, ignore


def build_as_asked(
    context: BuildContext,
    request: BuildRequest,
    rooms: BuildRooms,
    report: Report = ignore,
    cancellation: Cancellation = NEVER,
    *,
    log: StepLog | None = None,
    **more: Any,
) -> BuildResult:
    """Build as `builder.build` does. With `verify` first build twice without the cache, then take what is there now.

    Raise CommandFailed when the two differ, naming the step and its first differing file: facts `step` and `path`.
    """
    if not request.verify:
        return build(context, request, rooms, report, cancellation, log=log, **more)
    alone = replace(request, no_cache=True, tags=())
    with rooms.store.lease():
        first, second = (build(context, alone, rooms, report, cancellation, **more) for _ in range(2))
        for one, other in zip(first.steps, second.steps, strict=True):
            if one.image != other.image:
                raise _differing(rooms.images, one, other)
        return build(context, replace(request, no_cache=False), rooms, report, cancellation, log=log, **more)


def _differing(images: Images, one: BuildStep, other: BuildStep) -> CommandFailed:
    before, after = images.get(str(Digest.parse(one.image))), images.get(str(Digest.parse(other.image)))
    path, what = "", "the config differs"
    if before.config.diff_ids != after.config.diff_ids:
        path, what = _first_difference(before.layers[-1:], after.layers[-1:])
    place = f"line {one.line}: {one.instruction}"
    advice = "Give SOURCE_DATE_EPOCH as a build argument, and keep times and random values out of the files."
    return CommandFailed(
        f"the build is not reproducible: {place}: {what}", advice=advice, exit_code=1, step=one.instruction, path=path
    )


def _first_difference(before: tuple[Layer, ...], after: tuple[Layer, ...]) -> tuple[str, str]:
    """Return the first path in which two layers differ, and how."""
    trees: list[Tree] = [StackTree(layers) for layers in (before, after)]
    nodes = [{node.path: node for node in walk(tree)} for tree in trees]
    for path in sorted({*nodes[0], *nodes[1]} - {""}):
        one, other = nodes[0].get(path), nodes[1].get(path)
        if one is None or other is None:
            return f"/{path}", f"/{path} is in one of two builds only"
        if what := _how(trees, one, other):
            return f"/{path}", f"/{path} has {what}"
    return "", "its layer has the same files in another form"


def _how(trees: list[Tree], one: Node, other: Node) -> str:
    texts = [content_of(tree, node) for tree, node in zip(trees, (one, other), strict=True)]
    if texts[0] != texts[1]:
        return f"other content: {texts[0]} and {texts[1]}"
    first, second = one.entry, other.entry
    if (first.mode, first.uid, first.gid) != (second.mode, second.uid, second.gid):
        owners = [f"{entry.mode:o} {entry.uid}:{entry.gid}" for entry in (first, second)]
        return f"another mode or owner: {owners[0]} and {owners[1]}"
    if first.mtime_ns != second.mtime_ns:
        return f"another time: {format_time(first.mtime_ns)} and {format_time(second.mtime_ns)}"
    return "other attributes" if first.xattrs != second.xattrs else ""
