"""`top`: the host's ps(1), limited to the container's processes."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import Any

from lamina.containers.container import Container
from lamina.errors import CommandFailed, InvalidInput, Unavailable

DEFAULT = "-ef"


def top(container: Container, ps_args: str) -> dict[str, Any]:
    """Titles and rows of the container's processes. Raises Conflict when it does not run, CommandFailed for bad
    arguments, InvalidInput when they leave the process ids out, Unavailable without ps."""
    task = container.running_task()
    program = shutil.which("ps")
    if program is None:
        raise Unavailable("ps is not installed", advice="Install procps")
    pids = set(map(str, task.processes()))
    done = subprocess.run([program, *shlex.split(ps_args or DEFAULT)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"ps: {done.stderr.strip() or 'error'}", exit_code=done.returncode)
    lines = done.stdout.splitlines()
    titles = lines[0].split()
    if "PID" not in titles:
        raise InvalidInput("Couldn't find PID field in ps output", arguments=ps_args)
    column = titles.index("PID")
    rows = [line.split(None, len(titles) - 1) for line in lines[1:]]
    return {"Titles": titles, "Processes": [row for row in rows if len(row) > column and row[column] in pids]}
