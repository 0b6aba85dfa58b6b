"""Nodes to instructions: RUN, COPY, ADD, HEALTHCHECK and other commands, with their `--flag[=value]` options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lamina.dockerfile.instructions import (
    Add,
    Cmd,
    CommandLine,
    Copy,
    Entrypoint,
    Healthcheck,
    InlineFile,
    Origin,
    Run,
    Shell,
)
from lamina.dockerfile.mounts import parse_device, parse_mount
from lamina.dockerfile.position import Problem
from lamina.dockerfile.split import SPACES, json_array, split_gaps
from lamina.dockerfile.suggest import did_you_mean
from lamina.dockerfile.syntax import Node, parse_mark
from lamina.errors import InvalidInput
from lamina.formats.times import parse_duration


class Kind(Enum):
    """What a flag takes."""

    BOOL = "bool"
    TEXT = "text"
    TEXTS = "texts"  # may come more than once


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of an instruction: every value in order of appearance."""

    given: Mapping[str, tuple[str, ...]]

    def text(self, name: str) -> str:
        """Return the value of a TEXT flag, empty when it was not given."""
        return self.given[name][0] if name in self.given else ""

    def texts(self, name: str) -> tuple[str, ...]:
        return self.given.get(name, ())

    def optional_bool(self, name: str) -> bool | None:
        """Return the value of a BOOL flag, None when it was not given."""
        return self.given[name][0] == "true" if name in self.given else None

    def bool(self, name: str) -> bool:
        return self.optional_bool(name) or False


def parse_flags(flags: Iterable[str], kinds: Mapping[str, Kind]) -> Flags:
    """Check flags against `kinds`. Raise Problem for an unknown or repeated flag, or a missing or bad value."""
    values: dict[str, tuple[str, ...]] = {}
    for flag in flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        kind = kinds.get(name)
        if kind is None:
            raise Problem(
                f"unknown flag: --{name}", did_you_mean(f"--{name}", [f"--{flag}" for flag in kinds]) or _listing(kinds)
            )
        if name in values and kind is not Kind.TEXTS:
            raise Problem(f"duplicate flag specified: --{name}", "Give it once.")
        if kind is Kind.BOOL:
            value = _boolean(name, value, bool(equals))
        elif not equals:
            raise Problem(f"missing a value on flag: --{name}", f"Write --{name}=value.")
        values[name] = (*values.get(name, ()), value)
    return Flags(values)


def _listing(kinds: Mapping[str, Kind]) -> str:
    return f"Known here: {', '.join('--' + name for name in sorted(kinds))}." if kinds else "It takes no flags."


def _boolean(name: str, value: str, has_value: bool) -> str:
    if has_value and not value:
        raise Problem(f"missing a value on flag: --{name}", f"Write --{name} or --{name}=false.")
    if value.lower() not in ("", "true", "false"):
        raise Problem(f"expecting boolean value for flag --{name}, not: {value}", "Write true or false.")
    return value.lower() or "true"


RUN_FLAGS = {"mount": Kind.TEXTS, "network": Kind.TEXT, "security": Kind.TEXT, "device": Kind.TEXTS}
_DURATIONS = ("interval", "timeout", "start-period", "start-interval")
HEALTHCHECK_FLAGS = {**dict.fromkeys(_DURATIONS, Kind.TEXT), "retries": Kind.TEXT}
_MILLISECOND = 10**6


def _command_line(node: Node, rest: str) -> CommandLine:
    array = json_array(rest)
    if array is not None:
        return CommandLine(array, shell=False)
    files = tuple(InlineFile(d.name, d.text, d.expand, d.strip_tabs, d.descriptor) for d in node.heredocs)
    return CommandLine((rest,) if rest else (), shell=True, files=files)


def _choice(flags: Flags, name: str, choices: tuple[str, ...]) -> str:
    value = flags.text(name) or choices[0]
    if value not in choices:
        advice = did_you_mean(value, choices) or f"Known: {', '.join(choices)}."
        raise Problem(f'invalid {name} mode "{value}"', advice)
    return value


def read_run(node: Node, origin: Origin) -> Run:
    """Read RUN. Raise Problem for bad flags."""
    flags = parse_flags(node.flags, RUN_FLAGS)
    for mount in flags.texts("mount"):
        parse_mount(mount)
    for device in flags.texts("device"):
        parse_device(device)
    return Run(
        origin=origin,
        command=_command_line(node, node.rest),
        mounts=flags.texts("mount"),
        network=_choice(flags, "network", ("default", "none", "host")),
        security=_choice(flags, "security", ("sandbox", "insecure")),
        devices=flags.texts("device"),
    )


def read_cmd(node: Node, origin: Origin) -> Cmd:
    """Read CMD. Raise Problem for any flag."""
    parse_flags(node.flags, {})
    return Cmd(origin=origin, command=_command_line(node, node.rest))


def read_entrypoint(node: Node, origin: Origin) -> Entrypoint:
    """Read ENTRYPOINT. Raise Problem for any flag."""
    parse_flags(node.flags, {})
    return Entrypoint(origin=origin, command=_command_line(node, node.rest))


def read_shell(node: Node, origin: Origin) -> Shell:
    """Read SHELL. Raise Problem unless the argument is a JSON array with something in it."""
    parse_flags(node.flags, {})
    arguments = json_array(node.rest)
    if arguments is None and node.rest:
        quoted = ", ".join(f'"{word}"' for word in node.rest.split())
        raise Problem("SHELL requires the arguments to be in JSON form", f"Write SHELL [{quoted}].")
    if not arguments:
        raise Problem("SHELL requires at least one argument", 'Write SHELL ["/bin/sh", "-c"].')
    return Shell(origin=origin, arguments=arguments)


def read_healthcheck(node: Node, origin: Origin) -> Healthcheck:
    """Read HEALTHCHECK. Raise Problem for bad flags, an unknown type or a missing command."""
    kind, _, rest = node.rest.partition(next((c for c in node.rest if c in SPACES), " "))
    kind, rest = kind.upper(), rest.strip(SPACES)
    if not kind:
        raise Problem("HEALTHCHECK requires at least one argument", "Write HEALTHCHECK CMD command, or NONE.")
    if kind == "NONE":
        if rest:
            raise Problem("HEALTHCHECK NONE takes no arguments", "Remove what follows NONE.")
        return Healthcheck(origin=origin, test=("NONE",))
    flags = parse_flags(node.flags, HEALTHCHECK_FLAGS)
    if kind != "CMD":
        raise Problem(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)', "Write HEALTHCHECK CMD command, or NONE.")
    command = _command_line(node, rest)
    if not command.arguments:
        raise Problem("Missing command after HEALTHCHECK CMD", "Write HEALTHCHECK CMD command.")
    interval, timeout, start_period, start_interval = (_interval(flags, name) for name in _DURATIONS)
    return Healthcheck(
        origin=origin,
        test=("CMD-SHELL" if command.shell else "CMD", *command.arguments),
        interval=interval,
        timeout=timeout,
        start_period=start_period,
        start_interval=start_interval,
        retries=_retries(flags.text("retries")),
    )


def _interval(flags: Flags, name: str) -> int:
    try:
        value = parse_duration(flags.text(name) or "0")
    except InvalidInput as error:
        raise Problem(error.message, error.advice) from None
    if value != 0 and value < _MILLISECOND:
        raise Problem(f'Interval "{name}" cannot be less than 1ms', "Write 1ms or more, or 0 for the default.")
    return value


def _retries(text: str) -> int:
    if text and not text.removeprefix("-").removeprefix("+").isdecimal():
        raise Problem(f"invalid value for --retries: {text}", "Write a whole number.")
    value = int(text or 0)
    if not 0 <= value < 2**31:
        raise Problem(f"--retries cannot be negative or too large ({value})", "Write a whole number from 0.")
    return value


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
    """Return the attributes of Transfer."""
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
    """Read COPY. Raise Problem for bad flags or missing paths."""
    flags = parse_flags(node.flags, COPY_FLAGS)
    shared = _shared(node, "COPY", flags)
    return Copy(origin=origin, source_image=flags.text("from"), parents=flags.bool("parents"), **shared)


def read_add(node: Node, origin: Origin) -> Add:
    """Read ADD. Raise Problem for bad flags or missing paths."""
    flags = parse_flags(node.flags, ADD_FLAGS)
    return Add(
        origin=origin,
        checksum=flags.text("checksum"),
        keep_git_dir=flags.optional_bool("keep-git-dir"),
        unpack=flags.optional_bool("unpack"),
        **_shared(node, "ADD", flags),
    )
