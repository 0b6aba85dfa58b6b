"""`top`: the host's ps(1), limited to the container's processes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from lamina.containers.container import Container
from lamina.errors import InvalidInput, TooLarge, Unavailable
from lamina.linux.programs import Finished, run_bounded

DEFAULT = "-ef"
_OUTPUT = 32 << 20  # bytes: a container names its processes as it likes
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Processes:
    """A container's processes as ps(1) shows them: one row each, as many columns as titles."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def top(container: Container, ps_args: str) -> Processes:
    """Return the container's processes. `ps_args` are words with white space between them, without quotes.

    Raise Conflict when it does not run, InvalidInput for arguments that ps does not take or that leave the process
    ids out, Unavailable without ps.
    """
    task = container.running_task()
    program = shutil.which("ps")
    if program is None:
        raise Unavailable("ps is not installed", advice="Install procps")
    pids = set(map(str, task.processes()))
    words = ps_args.split() or [DEFAULT]
    result = _run(program, *words, f"-q{','.join(sorted(pids))}") if pids else _run(program, *words)
    if result.exit_code:
        result = _run(program, *words)  # some words, such as f, do not go with -q
    if result.exit_code:
        said = (result.stderr.decode(errors="replace").strip().splitlines() or ["error: it found no process"])[0]
        raise InvalidInput(f"ps: {said}", arguments=ps_args, exit_code=result.exit_code)
    lines = result.stdout.decode(errors="replace").splitlines() or [""]
    titles = lines[0].split()
    if "PID" not in titles:
        raise InvalidInput("Couldn't find PID field in ps output", arguments=ps_args)
    column = titles.index("PID")
    rows = (tuple(line.split(None, len(titles) - 1)) for line in lines[1:])
    return Processes(tuple(titles), tuple(row for row in rows if len(row) > column and row[column] in pids))


def _run(*command: str) -> Finished:
    try:
        return run_bounded(command, limit=_OUTPUT, seconds=_SECONDS)
    except TooLarge as error:
        advice = "Ask for fewer columns, without the processes' arguments."
        raise TooLarge(f"ps wrote more than {_OUTPUT} bytes about the processes", advice=advice) from error
