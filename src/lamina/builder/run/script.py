"""From a RUN's command line to the arguments of a process: shell form, exec form, here-documents.

Rule: Dockerfile reference, "Here-Documents": a lone `<<EOF` is a script for the shell, or for the program that its
first line names; in a longer line the shell reads the documents itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from lamina.dockerfile.instructions import CommandLine
from lamina.dockerfile.position import Problem
from lamina.dockerfile.syntax import parse_mark
from lamina.formats.config import RunConfig
from lamina.images.config_changes import DEFAULT_SHELL

PIPES = "/dev/pipes"  # where BuildKit, too, puts scripts


@dataclass(frozen=True, slots=True)
class Command:
    """The arguments to run, and files to be seen (read-only, executable) while they do: path to content."""

    arguments: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...] = ()


def run_command(config: RunConfig, command: CommandLine) -> Command:
    """What a RUN runs. Raises Problem when there is no command."""
    if not command.shell:
        if not command.arguments:
            raise Problem("RUN needs a command", 'Write RUN command, or RUN ["program", "argument"].')
        return Command(command.arguments)
    shell = tuple(config.shell or DEFAULT_SHELL)
    if not command.files:
        return Command((*shell, *command.arguments))
    line = command.arguments[0]
    if len(command.files) > 1 or parse_mark(line) is None:
        return Command((*shell, "\n".join([line, *(f"{file.text}{file.name}" for file in command.files)])))
    script = command.files[0]
    if not script.text.startswith("#!"):
        return Command((*shell, script.text))
    path = f"{PIPES}/{script.name.replace('/', '_')}"
    return Command((*shell, path), ((path, script.text.encode("utf-8", "surrogateescape")),))
