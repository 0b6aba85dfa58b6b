"""Nodes to instructions: the table of keywords, and the instructions that are settings.

Rule: Dockerfile reference; messages follow the reference parser so that known errors stay searchable.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lamina.dockerfile.flagged import (
    Kind,
    parse_flags,
    read_add,
    read_cmd,
    read_copy,
    read_entrypoint,
    read_healthcheck,
    read_run,
    read_shell,
)
from lamina.dockerfile.instructions import (
    Arg,
    Env,
    Expose,
    From,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Origin,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from lamina.dockerfile.position import Problem
from lamina.dockerfile.split import SPACES, json_array, name_values, split_command, split_gaps, split_words
from lamina.dockerfile.suggest import did_you_mean
from lamina.dockerfile.syntax import Node

_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*\Z")
_ONBUILD = re.compile(r"\A\s*ONBUILD\s*", re.IGNORECASE)


def interpret(node: Node, escape: str) -> Instruction:
    """Return the instruction of a node. Raise Problem for an unknown keyword and for arguments that do not fit."""
    keyword = node.keyword.upper()
    reader = READERS.get(keyword)
    if reader is None:
        raise Problem(f"unknown instruction: {node.keyword}", did_you_mean(keyword, READERS) or _continued(node))
    return reader(node, Origin(node.original.strip(SPACES), node.lines, node.comments), escape)


def _continued(node: Node) -> str:
    return f"A line that continues the one before needs a \\ at the end of that one; {node.keyword} is no instruction."


def _one(node: Node, keyword: str) -> str:
    parse_flags(node.flags, {})
    if not node.rest:
        raise Problem(f"{keyword} requires exactly one argument", f"Write {keyword} value.")
    return node.rest


def _env(node: Node, origin: Origin, escape: str) -> Env:
    parse_flags(node.flags, {})
    return Env(origin=origin, pairs=name_values(node.rest, "ENV", escape))


def _label(node: Node, origin: Origin, escape: str) -> Label:
    parse_flags(node.flags, {})
    return Label(origin=origin, pairs=name_values(node.rest, "LABEL", escape))


def _arg(node: Node, origin: Origin, escape: str) -> Arg:
    words = split_words(node.rest, escape)
    if not words:
        raise Problem("ARG requires at least one argument", "Write ARG name or ARG name=default.")
    arguments: list[tuple[str, str | None]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise Problem("ARG names can not be blank", "Write ARG name=default.")
        arguments.append((name, value if equals else None))
    return Arg(origin=origin, arguments=tuple(arguments))


def _from(node: Node, origin: Origin, escape: str) -> From:
    words = split_gaps(node.rest)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise Problem("FROM requires either one or three arguments", "Write FROM image, or FROM image AS name.")
    name = words[2].lower() if len(words) == 3 else ""
    if name and not _STAGE_NAME.match(name):
        raise Problem(
            f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols',
            "Use letters, digits, '-', '_' and '.', a letter first.",
        )
    flags = parse_flags(node.flags, {"platform": Kind.TEXT})
    return From(origin=origin, base=words[0], platform=flags.text("platform"), name=name)


def _expose(node: Node, origin: Origin, escape: str) -> Expose:
    parse_flags(node.flags, {})
    if not node.rest:
        raise Problem("EXPOSE requires at least one argument", "Write EXPOSE 80 or EXPOSE 53/udp.")
    return Expose(origin=origin, ports=tuple(sorted(split_gaps(node.rest))))


def _volume(node: Node, origin: Origin, escape: str) -> Volume:
    parse_flags(node.flags, {})
    array = json_array(node.rest)
    paths = split_gaps(node.rest) if array is None else array
    if not paths:
        raise Problem("VOLUME requires at least one argument", "Write VOLUME /path.")
    if not all(path.strip(SPACES) for path in paths):
        raise Problem("VOLUME specified can not be an empty string", "Write VOLUME /path.")
    return Volume(origin=origin, paths=tuple(path.strip(SPACES) for path in paths))


def _onbuild(node: Node, origin: Origin, escape: str) -> OnBuild:
    parse_flags(node.flags, {})
    if not node.rest:
        raise Problem("ONBUILD requires at least one argument", "Write ONBUILD and an instruction.")
    inner = split_command(node.rest, escape).keyword.upper()
    if inner == "ONBUILD":
        raise Problem("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", "Write ONBUILD once.")
    if inner in ("FROM", "MAINTAINER"):
        raise Problem(f"{inner} isn't allowed as an ONBUILD trigger", "Use another instruction.")
    if inner not in READERS:
        raise Problem(f"unknown instruction: {inner}", did_you_mean(inner, READERS))
    parts = [_ONBUILD.sub("", node.original, count=1)]
    for heredoc in node.heredocs:
        parts.append(f"\n{heredoc.content}{heredoc.name}")
    return OnBuild(origin=origin, trigger="".join(parts))


def _maintainer(node: Node, origin: Origin, escape: str) -> Maintainer:
    return Maintainer(origin=origin, author=_one(node, "MAINTAINER"))


def _stopsignal(node: Node, origin: Origin, escape: str) -> StopSignal:
    return StopSignal(origin=origin, signal=_one(node, "STOPSIGNAL"))


def _user(node: Node, origin: Origin, escape: str) -> User:
    return User(origin=origin, user=_one(node, "USER"))


def _workdir(node: Node, origin: Origin, escape: str) -> Workdir:
    return Workdir(origin=origin, path=_one(node, "WORKDIR"))


Reader = Callable[[Node, Origin, str], Instruction]
READERS: dict[str, Reader] = {
    "ADD": lambda node, origin, _: read_add(node, origin),
    "ARG": _arg,
    "CMD": lambda node, origin, _: read_cmd(node, origin),
    "COPY": lambda node, origin, _: read_copy(node, origin),
    "ENTRYPOINT": lambda node, origin, _: read_entrypoint(node, origin),
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": lambda node, origin, _: read_healthcheck(node, origin),
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": lambda node, origin, _: read_run(node, origin),
    "SHELL": lambda node, origin, _: read_shell(node, origin),
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
