"""Secrets that look left behind, in the files of every layer, in variables, and in the instructions of the history."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from lamina.api.explorer_findings import Secret
from lamina.cancellation import NEVER, Cancellation
from lamina.explorer.budget import ReadBudget
from lamina.explorer.opened import OpenImage
from lamina.explorer.secret_rules import CONTENT_RULES, assignments, file_rule, is_secret_variable
from lamina.formats.config import ImageConfig
from lamina.layers.entry import EntryType
from lamina.layers.tree import Node, Tree, walk

_LARGEST = 1 << 20  # bytes of a file that is searched
_READ = 16 << 30  # bytes of all files
_MOST = 1000  # findings
_INSTRUCTION = 1 << 16  # characters of an instruction that are searched
_SAMPLES = (
    "usr/share/doc/",
    "usr/share/perl",
    "usr/lib/python",
    "usr/share/man/",
)  # texts that show what keys look like
_VARIABLE = "secret-variable"


def find_secrets(config: ImageConfig, image: OpenImage, cancellation: Cancellation = NEVER) -> tuple[Secret, ...]:
    """Return what looks like a secret: variables, instructions, then files from the bottom layer up.

    Files of more than a mebibyte are not searched. Raise Cancelled, Corrupt.
    """
    return tuple(islice(_all(config, image, cancellation), _MOST))


def _all(config: ImageConfig, image: OpenImage, cancellation: Cancellation) -> Iterator[Secret]:
    yield from _in_environment(config)
    yield from _in_history(config, image)
    budget = ReadBudget(_READ)
    for number, tree in enumerate(image.trees):
        names: set[int] = set()
        for node in walk(tree):
            cancellation.check()
            entry = node.entry
            if entry.type is not EntryType.REGULAR or not 0 < entry.size <= _LARGEST or node.ino in names:
                continue
            if node.nlink > 1:
                names.add(node.ino)
            if budget.take(node):
                yield from _in_file(image, number, tree, node)


def _in_environment(config: ImageConfig) -> Iterator[Secret]:
    for text in config.config.env or ():
        name, _, value = text.partition("=")
        if (why := _why(name, value)) is not None:
            yield Secret(where="env", name=name, rule=why[0], reason=f"the variable {why[1]}")


def _in_history(config: ImageConfig, image: OpenImage) -> Iterator[Secret]:
    number = -1
    fits = sum(not step.empty_layer for step in config.history) == len(image.layers)
    for step in config.history:
        number += not step.empty_layer
        instruction = step.created_by[:_INSTRUCTION]
        for name, value in assignments(instruction):
            if (why := _why(name, value)) is not None:
                layer = number if fits and not step.empty_layer else None
                reason = f"the instruction sets a value that {why[1]}"
                yield Secret(
                    where="history", name=name, rule=why[0], reason=reason, layer=layer, created_by=step.created_by
                )


def _why(name: str, value: str) -> tuple[str, str] | None:
    """Return the rule that a variable breaks, and what it is; None for a harmless one."""
    raw = value.encode("utf-8", "surrogateescape")
    for rule in CONTENT_RULES:
        if rule.literal in raw and rule.pattern.search(raw):
            return rule.name, f"holds {rule.reason}"
    return (_VARIABLE, "is named like a secret") if is_secret_variable(name, value) else None


def _in_file(image: OpenImage, number: int, tree: Tree, node: Node) -> Iterator[Secret]:
    with tree.read(node) as content:
        data = content.read(_LARGEST)
    for rule, reason, offset in _matches(node.path, data):
        visible = image.merged.lookup(node.path)
        yield Secret(
            where="file",
            name=f"/{node.path}",
            rule=rule,
            reason=reason,
            layer=number,
            created_by=image.layers[number].created_by,
            hidden_by=None if visible is not None and visible.source == number else _hider(image, number, node.path),
            line=data.count(b"\n", 0, offset) + 1,
        )


def _matches(path: str, data: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield rule, reason and offset of what matches in a file, each rule once."""
    rule = file_rule(path)
    if rule is not None and (match := rule.pattern.search(data)):
        yield rule.name, f"the file holds {rule.reason}", match.start()
    if path.startswith(_SAMPLES):
        return
    matched: set[str] = set()
    for content in CONTENT_RULES:
        if content.literal in data and content.name not in matched and (match := content.pattern.search(data)):
            matched.add(content.name)
            yield content.name, f"the file holds {content.reason}", match.start()


def _hider(image: OpenImage, number: int, path: str) -> int | None:
    """Return the lowest layer above `number` at which the file of that layer cannot be seen."""
    for above in range(number + 1, len(image.trees)):
        node = image.files(above).lookup(path)
        if node is None or node.source != number:
            return above
    return None
