"""The step RUN: the arguments of its process, what the history says of it, and the cache.

Rule: Dockerfile reference, "Here-Documents". A lone `<<EOF` is a script for the shell, or for the program that its
first line names. In a longer line the shell reads the documents itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lamina.builder.build_run import BuildRun, RunRequest
from lamina.builder.buildkit_keys.step_keys import find_run_key
from lamina.builder.cache.records import result_key
from lamina.builder.failed_images import note_failed
from lamina.builder.run.inputs import run_inputs
from lamina.builder.run.privileges import check_allowed
from lamina.builder.stage import StageState
from lamina.dockerfile.expand import Lexer
from lamina.dockerfile.instructions import CommandLine, Run
from lamina.dockerfile.mounts import MountFlag, agent_id, parse_device, parse_mount, secret_id
from lamina.dockerfile.position import Problem
from lamina.dockerfile.syntax import parse_mark
from lamina.errors import CommandFailed, Unsupported
from lamina.formats.config import RunConfig
from lamina.images.config_changes import DEFAULT_SHELL

PIPES = "/dev/pipes"  # where BuildKit, too, puts scripts


@dataclass(frozen=True, slots=True)
class _Command:
    """The arguments of a process, and files that are there, read-only and executable, while it runs."""

    arguments: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...] = ()


def _command_of(config: RunConfig, command: CommandLine) -> _Command:
    """Return what a RUN runs. Raise Problem when there is no command."""
    if not command.shell:
        if not command.arguments:
            raise Problem("RUN needs a command", 'Write RUN command, or RUN ["program", "argument"].')
        return _Command(command.arguments)
    shell = tuple(config.shell or DEFAULT_SHELL)
    if not command.files:
        return _Command((*shell, *command.arguments))
    line = command.arguments[0]
    if len(command.files) > 1 or parse_mark(line) is None:
        return _Command((*shell, "\n".join([line, *(f"{file.text}{file.name}" for file in command.files)])))
    script = command.files[0]
    if not script.text.startswith("#!"):
        return _Command((*shell, script.text))
    path = f"{PIPES}/{script.name.replace('/', '_')}"
    return _Command((*shell, path), ((path, script.text.encode("utf-8", "surrogateescape")),))


def run_step(work: BuildRun, state: StageState, instruction: Run) -> None:
    """Run the command, or take its result from the cache. Raise Problem, CommandFailed, Unsupported."""
    command = _command_of(state.config, instruction.command)
    arguments = command.arguments
    lexer = Lexer(work.file.escape)
    mounts = tuple(parse_mount(text, lambda word: lexer.expand(word, state.words())) for text in instruction.mounts)
    _check(work, instruction, mounts)
    recorded = state.args.recorded(state.env)
    passed = state.args.environment(state.env)
    words = [f"|{len(recorded)}", *recorded, *arguments] if passed else list(arguments)
    inputs = run_inputs(work, state, instruction, arguments, mounts)
    find_run_key(work, state, instruction, arguments, mounts, command.files)
    step = work.step(state, " ".join(words), state.config, result_key("RUN", inputs))
    if work.hit(state, step) or work.reuse(state, step, inputs):
        return
    runner = work.rooms.runner
    if runner is None:
        raise Unsupported("RUN needs containers, and this engine has none", advice="See `info` for the reason.")
    container = work.helper.next_id()
    work.console.running(container)
    environment = (*state.config.env, *(f"{k}={v}" for k, v in _environment(state).items()))
    network = instruction.network if instruction.network != "default" else work.request.network
    insecure, devices = instruction.security == "insecure", tuple(map(parse_device, instruction.devices))
    request = RunRequest(container, arguments, environment, mounts, network, command.files, insecure, devices)
    try:
        layer = runner().run(work, state, request)
    except CommandFailed as error:
        if work.request.force_remove:
            work.console.removed(container)
        failure = _ended_badly(error, arguments)
        if work.request.keep_failed:
            failure.facts["image"] = _kept(work, state, environment, failure)
        raise failure from error
    work.commit(state, step, layer, state.time_ns, inputs)
    if work.request.remove or work.request.force_remove:
        work.console.removed(container)


def _environment(state: StageState) -> dict[str, str]:
    values = state.args.environment(state.env)
    if state.args.epoch_ns is not None:
        values.setdefault("SOURCE_DATE_EPOCH", str(state.args.epoch_ns // 10**9))
    return values


def _kept(work: BuildRun, state: StageState, environment: tuple[str, ...], failure: CommandFailed) -> str:
    """Make an image of what a failed command left, with the names that it saw. Return its ID.

    It is no step of the cache. It is there until somebody removes or prunes it, or until the engine's next start.
    """
    layer = failure.facts.pop("layer", None)
    config = msgspec.structs.replace(state.config, env=environment)
    parent = state.image.id if state.image else None
    failed = state.child(config, f"failed: {failure.facts['command']}", layer, state.time_ns)
    note_failed(work.rooms.store, failed.digest)
    return str(work.rooms.images.create(failed, parent=parent, built=True).id)


def _ended_badly(error: CommandFailed, arguments: tuple[str, ...]) -> CommandFailed:
    code = error.facts.get("exit_code")
    if not isinstance(code, int):
        return error
    detail = f": {error.message}" if error.message else ""
    command = " ".join(arguments)
    message = f"The command '{command}' returned a non-zero code: {code}{detail}"
    return CommandFailed(message, **{**error.facts, "command": command})


def _check(work: BuildRun, instruction: Run, mounts: tuple[MountFlag, ...]) -> None:
    check_allowed(work, instruction)
    for mount in mounts:
        if mount.type == "ssh" and mount.required and not (work.agents and work.agents.offers(agent_id(mount))):
            raise Problem(f"ssh agent {agent_id(mount)}: not found", "Build with --ssh, by a client of BuildKit's.")
        if mount.type == "secret" and mount.required and secret_id(mount) not in work.secrets:
            advice = "Give it with --secret, by a client of BuildKit's; without required=true it is left out."
            raise Problem(f"secret {secret_id(mount)}: not found", advice)
