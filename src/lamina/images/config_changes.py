"""What an instruction does to a config, for builds, `commit --change` and `import --change`, and how configs inherit.

Rule: Dockerfile reference; where it is silent, what dockerd's classic builder does. A container's config takes what it
leaves open from its image's, and a step's from its base's, as dockerd's `merge` does (daemon/commit.go).
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from typing import Any

import msgspec

from lamina.dockerfile import instructions as say
from lamina.dockerfile.dockerfile import parse_instructions
from lamina.dockerfile.expansion import Expansion
from lamina.dockerfile.position import Problem, located
from lamina.errors import InvalidInput
from lamina.formats.config import Healthcheck, RunConfig

DEFAULT_SHELL = ("/bin/sh", "-c")
_CHANGES = (
    say.Cmd,
    say.Entrypoint,
    say.Env,
    say.Expose,
    say.Healthcheck,
    say.Label,
    say.OnBuild,
    say.StopSignal,
    say.User,
    say.Volume,
    say.Workdir,
)
_PORT = re.compile(r"(?:.*:)?(\d+)(?:-(\d+))?(?:/([a-zA-Z]+))?")
_REALTIME_SIGNAL = re.compile(r"RTM(IN|AX)([+-]\d+)?")


def apply_changes(config: RunConfig, changes: Sequence[str]) -> RunConfig:
    """Return `config` after the instructions in `changes`, each expanded with the environment so far.

    Raise InvalidInput for a line that does not parse, or an instruction that is no change of the config.
    """
    lines = [line for change in changes for line in change.split("\n")]
    cmd_set = False
    for instruction in parse_instructions(changes) if changes else ():
        if not isinstance(instruction, _CHANGES):
            word = str(instruction).split(None, 1)[0]
            raise InvalidInput(f"{word} is not a valid change command", instruction=word)
        try:
            expanded = Expansion(environment(config)).apply(instruction)
        except Problem as problem:
            raise located(problem, lines, instruction.origin.lines) from None
        config = effect(config, expanded, cmd_set=cmd_set)
        cmd_set = cmd_set or isinstance(instruction, say.Cmd)
    return config


def effect(config: RunConfig, instruction: say.Instruction, *, cmd_set: bool = False) -> RunConfig:
    """Return `config` after one instruction whose words are expanded already.

    Instructions that only touch files do not change it. `cmd_set` tells whether this stage set CMD before: else
    ENTRYPOINT resets the CMD of the base image. Raise InvalidInput for a bad port or signal.
    """
    changed = _changes(config, instruction, cmd_set)
    return msgspec.structs.replace(config, **changed) if changed else config


def environment(config: RunConfig) -> dict[str, str]:
    """Return the config's environment by name; a later entry of the same name wins."""
    return dict(entry.partition("=")[::2] for entry in config.env)


def shell_form(config: RunConfig, command: say.CommandLine) -> tuple[str, ...]:
    """Return the arguments that run `command`: the shell form gets the config's shell in front."""
    if command.shell and command.arguments:
        return (*(config.shell or DEFAULT_SHELL), *command.arguments)
    return command.arguments


def _changes(config: RunConfig, instruction: say.Instruction, cmd_set: bool) -> dict[str, Any]:
    match instruction:
        case say.Cmd():
            return {"cmd": shell_form(config, instruction.command), "args_escaped": False}
        case say.Entrypoint():
            entrypoint = shell_form(config, instruction.command) or None
            return {"entrypoint": entrypoint, "args_escaped": False} | ({} if cmd_set else {"cmd": None})
        case say.Env():
            return {"env": _with_variables(config.env, [(pair.name, pair.value) for pair in instruction.pairs])}
        case say.Label():
            return {"labels": {**config.labels, **{pair.name: pair.value for pair in instruction.pairs}}}
        case say.Expose():
            return {"exposed_ports": {**config.exposed_ports, **{port: {} for port in ports(instruction.ports)}}}
        case say.Volume():
            return {"volumes": {**config.volumes, **{path: {} for path in instruction.paths}}}
        case say.Healthcheck():
            return {"healthcheck": _healthcheck(instruction)}
        case say.OnBuild():
            return {"on_build": (*config.on_build, instruction.trigger)}
        case say.Shell():
            return {"shell": instruction.arguments}
        case say.User():
            return {"user": instruction.user}
        case say.StopSignal():
            return {"stop_signal": _checked_signal(instruction.signal)}
        case say.Workdir():
            return {"working_dir": working_dir(config.working_dir, instruction.path)}
        case _:
            return {}


def _with_variables(env: tuple[str, ...], pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    entries = list(env)
    for name, value in pairs:
        positions = [n for n, entry in enumerate(entries) if entry.partition("=")[0] == name]
        if positions:
            entries[positions[0]] = f"{name}={value}"
        else:
            entries.append(f"{name}={value}")
    return tuple(entries)


def working_dir(current: str, requested: str) -> str:
    """Return where WORKDIR leads: an absolute path as it is written, a relative one from `current`, cleaned."""
    if not requested:
        raise InvalidInput("cannot normalize nothing: WORKDIR expanded to an empty path")
    if requested.startswith("/"):
        return requested
    parts: list[str] = []
    for part in f"{current}/{requested}".split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def ports(specs: Sequence[str]) -> list[str]:
    """Return `80`, `53/udp`, `8000-8002` as Docker's port keys `80/tcp`, one for each port. Raise InvalidInput."""
    keys: list[str] = []
    for spec in specs:
        match = _PORT.fullmatch(spec)
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        protocol = (match[3] or "tcp").lower() if match else ""
        if not 0 < first <= last <= 65535:
            raise InvalidInput(f"Invalid containerPort: {spec}", advice="Ports are numbers from 1 to 65535.")
        if protocol not in ("tcp", "udp", "sctp"):
            raise InvalidInput(f"Invalid proto: {protocol}", advice="Protocols are tcp, udp and sctp.")
        keys.extend(f"{port}/{protocol}" for port in range(first, last + 1))
    return keys


def _healthcheck(instruction: say.Healthcheck) -> Healthcheck:
    return Healthcheck(
        test=instruction.test,
        interval=instruction.interval,
        timeout=instruction.timeout,
        start_period=instruction.start_period,
        start_interval=instruction.start_interval,
        retries=instruction.retries,
    )


def _checked_signal(text: str) -> str:
    name = text.upper().removeprefix("SIG")
    number_fits = text.isdecimal() and 0 < int(text) < signal.NSIG
    if number_fits or f"SIG{name}" in signal.Signals.__members__ or _REALTIME_SIGNAL.fullmatch(name):
        return text
    raise InvalidInput(f"Invalid signal: {text}", advice="Write a number, or a name such as SIGTERM.")


def inherit(config: RunConfig, below: RunConfig) -> RunConfig:
    """Return `config`, completed by the config `below`, as dockerd merges those of container and image."""
    names = {entry.partition("=")[0] for entry in config.env}
    env = (*config.env, *(entry for entry in below.env if entry.partition("=")[0] not in names))
    entrypoint, cmd = config.entrypoint, config.cmd
    if not entrypoint:
        cmd = cmd or below.cmd
        entrypoint = below.entrypoint if entrypoint is None else entrypoint
    return msgspec.structs.replace(
        config,
        user=config.user or below.user,
        exposed_ports={**below.exposed_ports, **config.exposed_ports},
        env=env,
        labels={**below.labels, **config.labels},
        cmd=cmd,
        entrypoint=entrypoint,
        healthcheck=_inherited_healthcheck(config.healthcheck, below.healthcheck),
        working_dir=config.working_dir or below.working_dir,
        volumes={**below.volumes, **config.volumes},
        stop_signal=config.stop_signal or below.stop_signal,
    )


def _inherited_healthcheck(own: Healthcheck | None, below: Healthcheck | None) -> Healthcheck | None:
    """Return `own`, completed by the check of the image below."""
    if own is None or below is None:
        return own or below
    return msgspec.structs.replace(
        own,
        test=own.test or below.test,
        interval=own.interval or below.interval,
        timeout=own.timeout or below.timeout,
        start_period=own.start_period or below.start_period,
        start_interval=own.start_interval or below.start_interval,
        retries=own.retries or below.retries,
    )
