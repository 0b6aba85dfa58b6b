"""Nodes to instructions: COPY and ADD."""

from __future__ import annotations

from typing import Any

from lamina.dockerfile.flags import Flags, Kind, parse_flags
from lamina.dockerfile.heredoc import parse_mark
from lamina.dockerfile.instructions import Add, Copy, InlineFile, Origin
from lamina.dockerfile.position import Problem
from lamina.dockerfile.split import json_array, split_gaps
from lamina.dockerfile.syntax import Node

_SHARED = {"chown": Kind.TEXT, "chmod": Kind.TEXT, "link": Kind.BOOL, "exclude": Kind.TEXTS}
COPY_FLAGS = {**_SHARED, "from": Kind.TEXT, "parents": Kind.BOOL}
ADD_FLAGS = {**_SHARED, "keep-git-dir": Kind.BOOL, "checksum": Kind.TEXT, "unpack": Kind.BOOL}


def _paths(node: Node, keyword: str) -> tuple[tuple[str, ...], tuple[InlineFile, ...], str]:
    array = json_array(node.rest)
    words = split_gaps(node.rest) if array is None else array
    if len(words) < 2:
        raise Problem(
            f"{keyword} requires at least two arguments, but only one was provided. Destination could not be determined"
            if words
            else f"{keyword} requires at least two arguments",
            f"Write {keyword} source destination.",
        )
    *sources, destination = words
    if parse_mark(destination):
        raise Problem(f"{keyword} cannot accept a heredoc as a destination", "Put the destination last.")
    bodies = {heredoc.name: heredoc for heredoc in node.heredocs}
    plain: list[str] = []
    inline: list[InlineFile] = []
    for source in sources:
        mark = parse_mark(source) if array is None else None
        body = bodies.get(mark.name) if mark else None
        if body is None:
            plain.append(source)
        else:
            inline.append(InlineFile(body.name, body.text, body.expand, body.strip_tabs, body.descriptor))
    return tuple(plain), tuple(inline), destination


def _shared(node: Node, keyword: str, flags: Flags) -> dict[str, Any]:
    """The members of Transfer."""
    sources, inline, destination = _paths(node, keyword)
    return {
        "sources": sources,
        "inline": inline,
        "destination": destination,
        "chown": flags.text("chown"),
        "chmod": flags.text("chmod"),
        "link": flags.bool("link"),
        "exclude": flags.texts("exclude"),
    }


def read_copy(node: Node, origin: Origin) -> Copy:
    """Raises Problem for bad flags or missing paths."""
    flags = parse_flags(node.flags, COPY_FLAGS)
    shared = _shared(node, "COPY", flags)
    return Copy(origin=origin, source_image=flags.text("from"), parents=flags.bool("parents"), **shared)


def read_add(node: Node, origin: Origin) -> Add:
    """Raises Problem for bad flags or missing paths."""
    flags = parse_flags(node.flags, ADD_FLAGS)
    return Add(
        origin=origin,
        checksum=flags.text("checksum"),
        keep_git_dir=flags.optional_bool("keep-git-dir"),
        unpack=flags.optional_bool("unpack"),
        **_shared(node, "ADD", flags),
    )
