"""Nodes to instructions: RUN, CMD, ENTRYPOINT, HEALTHCHECK, SHELL: what holds a command."""

from __future__ import annotations

from lamina.dockerfile.flags import Flags, Kind, parse_flags
from lamina.dockerfile.instructions import Cmd, CommandLine, Entrypoint, Healthcheck, InlineFile, Origin, Run, Shell
from lamina.dockerfile.mounts import parse_device, parse_mount
from lamina.dockerfile.position import Problem
from lamina.dockerfile.spaces import SPACES
from lamina.dockerfile.split import json_array
from lamina.dockerfile.suggest import did_you_mean
from lamina.dockerfile.syntax import Node
from lamina.errors import InvalidInput
from lamina.formats.durations import parse_duration

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
    """Raises Problem for bad flags."""
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
    """Raises Problem for any flag."""
    parse_flags(node.flags, {})
    return Cmd(origin=origin, command=_command_line(node, node.rest))


def read_entrypoint(node: Node, origin: Origin) -> Entrypoint:
    """Raises Problem for any flag."""
    parse_flags(node.flags, {})
    return Entrypoint(origin=origin, command=_command_line(node, node.rest))


def read_shell(node: Node, origin: Origin) -> Shell:
    """Raises Problem unless the argument is a JSON array with something in it."""
    parse_flags(node.flags, {})
    arguments = json_array(node.rest)
    if arguments is None and node.rest:
        quoted = ", ".join(f'"{word}"' for word in node.rest.split())
        raise Problem("SHELL requires the arguments to be in JSON form", f"Write SHELL [{quoted}].")
    if not arguments:
        raise Problem("SHELL requires at least one argument", 'Write SHELL ["/bin/sh", "-c"].')
    return Shell(origin=origin, arguments=arguments)


def read_healthcheck(node: Node, origin: Origin) -> Healthcheck:
    """Raises Problem for bad flags, an unknown type or a missing command."""
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
