"""The actions of a file operation: each changes a draft, which becomes one layer.

Rule: moby/buildkit, solver/llbsolver/file/backend.go, with its words for what is not there. All paths are looked up
below the root of the files, and no link leads out of it.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lamina.builder.copy.add import place_archive
from lamina.builder.copy.ownership import Chmod, Owner, owner_of_user, parse_owner
from lamina.builder.copy.place import Placing, whole_seconds
from lamina.builder.copy.sources import CopySource
from lamina.builder.file_sums import Sums
from lamina.builder.graph import operations as graph
from lamina.builder.layer_plan import LayerPlan, PlannedFile, write_files
from lamina.builder.ops.copied_files import copied_files
from lamina.builder.ops.result import Result, write_layer
from lamina.dockerfile.position import Problem
from lamina.formats.matching import compile_match
from lamina.layers.entry import Entry, EntryType
from lamina.layers.tree import Tree, walk
from lamina.store.store import Store

EMPTY = Result()


class Draft:
    """Files while they are changed: a plan over those of `base`. `settle` makes a result of it."""

    def __init__(self, base: Result) -> None:
        self.base = base
        self.tree: Tree = base.tree
        self.plan = LayerPlan(self.tree)
        self.time_ns = base.time_ns
        self.sums: dict[int, Sums] = {}
        self._result: Result | None = None

    def settle(self, store: Store) -> Result:
        """Return the changed files, with what changed as one layer. A second call returns the same."""
        if self._result is None:
            members = self.plan.members(self.time_ns)
            layer = write_layer(store, lambda builder: write_files(builder, members, self.sums))
            self._result = Result((*self.base.layers, layer), self.time_ns, self.base)
        return self._result


@dataclass(frozen=True, slots=True)
class Place:
    """Where an action works. `result` returns the files behind a number, as `graph.Action.base` counts them."""

    draft: Draft
    result: Callable[[int | None], Result]
    temporary: Path
    closing: ExitStack


def perform(action: graph.Action, place: Place) -> None:
    """Do one action. Raise Problem for what it cannot do."""
    owner = _owner(action, place)
    match action:
        case graph.Copy():
            _copy(action, place, owner)
        case graph.MakeFile():
            _make_file(action, place.draft, owner or Owner())
        case graph.MakeDirectory():
            _make_directory(action, place.draft, owner or Owner())
        case graph.MakeLink():
            _make_link(action, place.draft, owner or Owner())
        case graph.Remove():
            _remove(action, place.draft.plan, place.draft.tree)


def _owner(action: graph.Action, place: Place) -> Owner | None:
    """Return whose the files are to be; None where nobody is named.

    Without a group it is the user's own one, or for a number the same number.
    """
    if action.user is None and action.group is None:
        return None
    if action.group is None:
        if isinstance(action.user, graph.NamedOwner):
            return owner_of_user(action.user.name, _tree_of(action.user, place))
        return Owner(action.user or 0, action.user or 0)
    return Owner(_number(action.user, "uid", place), _number(action.group, "gid", place))


def _tree_of(who: graph.NamedOwner, place: Place) -> Tree:
    return place.draft.tree if who.place is None else place.result(who.place).tree


def _number(who: int | graph.NamedOwner | None, kind: str, place: Place) -> int:
    if not isinstance(who, graph.NamedOwner):
        return who or 0
    tree = _tree_of(who, place)
    owner = parse_owner(f"{who.name}:0" if kind == "uid" else f"0:{who.name}", tree)
    return owner.uid if kind == "uid" else owner.gid


def _missing(verb: str, path: str) -> Problem:
    return Problem(f"{verb} /{path}: no such file or directory")


def _check_parent(plan: LayerPlan, path: str, verb: str) -> None:
    if not plan.is_directory(posixpath.dirname(path)):
        raise _missing(verb, path)


def _time(action: graph.Action, draft: Draft) -> int:
    return draft.time_ns if action.time_ns is None else action.time_ns


def _make_file(action: graph.MakeFile, draft: Draft, owner: Owner) -> None:
    path = draft.plan.resolve(action.path)
    _check_parent(draft.plan, path, "open")
    if draft.plan.is_directory(path):
        raise Problem(f"open /{path}: is a directory")
    size = len(action.content)
    time_ns = _time(action, draft)
    entry = Entry(path, EntryType.REGULAR, action.mode & 0o777, owner.uid, owner.gid, size, time_ns)
    draft.plan.put(PlannedFile(entry, content=action.content))


def _make_directory(action: graph.MakeDirectory, draft: Draft, owner: Owner) -> None:
    plan = draft.plan
    path = plan.resolve(action.path)
    if not action.parents:
        if plan.lookup(path) is not None or not path:
            return
        _check_parent(plan, path, "mkdir")
    before = set(plan.created)
    plan.make_directories(path, uid=owner.uid, gid=owner.gid, mode=action.mode & 0o777)
    if action.time_ns is not None:
        for new in plan.created - before:
            plan.created.discard(new)
            entry = Entry(new, EntryType.DIRECTORY, action.mode & 0o777, owner.uid, owner.gid, 0, action.time_ns)
            plan.put(PlannedFile(entry))


def _make_link(action: graph.MakeLink, draft: Draft, owner: Owner) -> None:
    path = draft.plan.resolve(action.path)
    _check_parent(draft.plan, path, "symlink")
    if draft.plan.lookup(path) is not None:
        raise Problem(f"symlink {action.target} /{path}: file exists")
    time_ns = _time(action, draft)
    entry = Entry(path, EntryType.SYMLINK, 0o777, owner.uid, owner.gid, 0, time_ns, action.target)
    draft.plan.put(PlannedFile(entry))


def _remove(action: graph.Remove, plan: LayerPlan, tree: Tree) -> None:
    if action.wildcard:
        pattern = compile_match(action.path.strip("/"))
        paths = [node.path for node in walk(tree) if node.path and pattern.match(node.path)]
    else:
        paths = [action.path]
    for path in paths:
        parent, _, name = posixpath.normpath(f"/{path}").rpartition("/")
        if not name:
            raise Problem("rm: the root cannot be removed", "Name what is to be removed in it.")
        parent = plan.resolve(parent)
        place = f"{parent}/{name}" if parent else name
        if plan.lookup(place) is None and not action.may_be_missing and not action.wildcard:
            raise _missing("rm", place)
        plan.remove(place)


def _copy(action: graph.Copy, place: Place, owner: Owner | None) -> None:
    draft, files = place.draft, place.result(action.source)
    sources = copied_files(action, files.tree)
    destination = posixpath.join("/", action.destination)
    if not action.make_destination:
        _check_parent(draft.plan, draft.plan.resolve(destination), "stat")
    newest = max((node.entry.mtime_ns for one in sources for node in one.nodes), default=0)
    draft.time_ns = max(draft.time_ns, whole_seconds(newest)) if action.time_ns is None else action.time_ns
    draft.sums[id(files.tree)] = files.sums
    for one in sources:
        _place_one(action, one, place, owner, destination)


def _place_one(action: graph.Copy, source: CopySource, place: Place, owner: Owner | None, destination: str) -> None:
    plan = place.draft.plan
    is_directory = source.node.is_directory
    if is_directory and not action.contents and plan.is_directory(plan.resolve(destination)):
        destination = posixpath.join(destination, posixpath.basename(source.name))
    chmod = Chmod.parse(action.mode)
    placing = Placing(plan, destination, owner, chmod, action.time_ns)
    if action.unpack and not is_directory and place_archive(source, placing, owner, place.temporary, place.closing):
        return
    placing.place(source)


def run_actions(
    actions: Sequence[graph.Action], inputs: Sequence[Result], store: Store, temporary: Path, closing: ExitStack
) -> list[Result]:
    """Do all actions of a vertex, and return its outputs in order. Raise Problem.

    An action that goes on from an earlier one adds to the same layer, unless somebody else needs what was there.
    """
    drafts: list[Draft | Result] = []

    def result(number: int | None) -> Result:
        if number is None:
            return EMPTY
        if number < len(inputs):
            return inputs[number]
        draft = drafts[number - len(inputs)]
        return draft.settle(store) if isinstance(draft, Draft) else draft

    shared = set(_shared(actions, len(inputs)))
    outputs: dict[int, Result] = {}
    for number, action in enumerate(actions):
        earlier = drafts[action.base - len(inputs)] if action.base is not None and action.base >= len(inputs) else None
        draft = earlier if isinstance(earlier, Draft) else Draft(earlier or result(action.base))
        perform(action, Place(draft, result, temporary, closing))
        is_needed = number in shared or action.output is not None
        drafts.append(draft.settle(store) if is_needed else draft)
        if action.output is not None:
            outputs[action.output] = result(len(inputs) + number)
    return [outputs[number] for number in sorted(outputs)]


def _shared(actions: Sequence[graph.Action], inputs: int) -> Iterator[int]:
    """Yield the actions whose result is copied from, or is the base of several others."""
    bases = [action.base - inputs for action in actions if action.base is not None and action.base >= inputs]
    yield from (number for number, count in Counter(bases).items() if count > 1)
    for action in actions:
        owners = [who.place for who in (action.user, action.group) if isinstance(who, graph.NamedOwner)]
        places = [*owners, action.source] if isinstance(action, graph.Copy) else owners
        yield from (place - inputs for place in places if place is not None and place >= inputs)
