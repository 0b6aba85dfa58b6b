"""How two images differ: values of the config, packages, files by what changed in them, the lines of small texts."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from lamina.api.explorer import FileChange, ImageDifference, Kind, ValueChange
from lamina.cancellation import NEVER, Cancellation
from lamina.explorer.contents import same_content
from lamina.explorer.opened import OpenImage, state_of
from lamina.explorer.package_changes import package_changes
from lamina.formats.config import ImageConfig
from lamina.layers.entry import EntryType
from lamina.layers.tree import Node, Tree, read_all

MOST_FILES = 50_000
_TEXT = 64 * 1024  # bytes of a file whose lines are compared
_LINES = 2000
_ALL_TEXTS = 4 << 20  # characters of all diffs


def compare(one: OpenImage, other: OpenImage, cancellation: Cancellation = NEVER) -> ImageDifference:
    """Return what leads from `one` to `other`. Raise Cancelled, Corrupt."""
    files: list[FileChange] = []
    omitted = 0
    texts = _Texts()
    for path, old, new in _pairs(one, other, cancellation):
        what = _what(one, old, other, new, cancellation) if old and new else ()
        if old and new and not what:
            continue
        if len(files) >= MOST_FILES:
            omitted += 1
            continue
        kind: Kind = "modified" if old and new else "added" if new else "removed"
        files.append(
            FileChange(
                path=f"/{path}",
                change=kind,
                what=what,
                before=state_of(old.entry) if old else None,
                after=state_of(new.entry) if new else None,
                text=texts.diff(one.merged, old, other.merged, new) if old and new and "content" in what else "",
            )
        )
    return ImageDifference(
        before=one.id,
        after=other.id,
        config=config_changes(one.config, other.config),
        packages=package_changes(one.merged, other.merged, [file.path for file in files], cancellation),
        files=tuple(files),
        omitted=omitted,
    )


def _pairs(
    one: OpenImage, other: OpenImage, cancellation: Cancellation
) -> Iterator[tuple[str, Node | None, Node | None]]:
    """Yield all paths with the file in each image, directories before what is in them, sorted by name."""
    todo = [""]
    while todo:
        cancellation.check()
        path = todo.pop()
        old = {node.name: node for node in one.merged.children(path)}
        new = {node.name: node for node in other.merged.children(path)}
        below: list[str] = []
        for name in sorted(old.keys() | new.keys()):
            first, second = old.get(name), new.get(name)
            place = f"{path}/{name}" if path else name
            yield place, first, second
            if (first and first.is_directory) or (second and second.is_directory):
                below.append(place)
        todo.extend(reversed(below))


def _what(one: OpenImage, old: Node, other: OpenImage, new: Node, cancellation: Cancellation) -> tuple[str, ...]:
    before, after = old.entry, new.entry
    if before.type is not after.type:
        return ("type",)
    if one.layers[old.source].diff_id == other.layers[new.source].diff_id:
        return ()
    found = []
    if not same_content(one.merged, old, other.merged, new, cancellation):
        found.append("target" if before.type is EntryType.SYMLINK else "content")
    if before.mode != after.mode and before.type is not EntryType.SYMLINK:
        found.append("mode")
    if (before.uid, before.gid) != (after.uid, after.gid):
        found.append("owner")
    if dict(before.xattrs) != dict(after.xattrs):
        found.append("attributes")
    return tuple(found)


class _Texts:
    """The diffs of one comparison, which end when there is enough of them."""

    def __init__(self) -> None:
        self._left = _ALL_TEXTS

    def diff(self, one: Tree, old: Node, other: Tree, new: Node) -> str:
        """Return a unified diff; "" for what is no small text, and when there was enough."""
        before, after = _lines(one, old), _lines(other, new)
        if self._left <= 0 or before is None or after is None:
            return ""
        names = (f"a/{old.path}", f"b/{new.path}")
        text = "".join(_ended(line) for line in difflib.unified_diff(before, after, *names))
        self._left -= len(text)
        return text


def _lines(tree: Tree, node: Node) -> list[str] | None:
    if node.entry.type is not EntryType.REGULAR or node.entry.size > _TEXT:
        return None
    data = read_all(tree, node, _TEXT)
    try:
        lines = data.decode().splitlines(keepends=True) if b"\0" not in data else None
    except UnicodeDecodeError:
        return None
    return lines if lines is not None and len(lines) <= _LINES else None


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def config_changes(before: ImageConfig, after: ImageConfig) -> tuple[ValueChange, ...]:
    """Return the values that differ, sorted by name; environment, labels and the like by each name in them."""
    old, new = _values(before), _values(after)
    return tuple(
        ValueChange(name=name, before=old.get(name), after=new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _values(config: ImageConfig) -> dict[str, str]:
    run = config.config.to_json()
    values = {f"Env.{name}": value for name, _, value in (text.partition("=") for text in run.pop("Env", None) or ())}
    for member, value in run.items():
        if isinstance(value, Mapping):
            values |= {f"{member}.{name}": _text(part) for name, part in value.items()}
        elif value not in (None, "", [], False):
            values[member] = _text(value)
    return values | {"Platform": str(config.platform)} | ({"Author": config.author} if config.author else {})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
