"""Why a process could not be started: found out by looking, never from a runtime program's wording."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from lamina.errors import CommandFailed, InvalidInput, LaminaError
from lamina.linux.paths import openat2
from lamina.runtime import defaults
from lamina.runtime.spec import AnyMount, BindMount, ProcessSpec

NOT_EXECUTABLE = 126
NOT_FOUND = 127
UNKNOWN = 128
_LOG_LIMIT = 64 << 10  # bytes from the end of a runtime's log


CREATING = "failed to create task for container"  # what could not be done, in dockerd's words
EXECUTING = "OCI runtime exec failed: exec failed"


def explain(
    process: ProcessSpec, root: Path, mounts: Sequence[AnyMount], runtime_log: str, failure: str = CREATING
) -> LaminaError:
    """Return the error for a process that did not start in the tree at `root` (`mounts` lie over it).

    `failure` is what could not be done: `CREATING` a container, or `EXECUTING` a further command in it.

    `facts["exit_code"]` is 127 when the command does not exist, 126 when it cannot be executed, 128 otherwise
    (docker-run(1)); the wording carries what Docker's clients look for.
    """
    command = process.args[0] if process.args else ""
    statuses = [inspect(path, root, mounts) for path in _candidates(command, process)]
    if not any(info is not None for info in statuses):
        searched = "stat " + command + ": no such file or directory" if "/" in command else _NOT_IN_PATH
        return _error(f'{failure}: {_UNABLE}: exec: "{command}": {searched}', NOT_FOUND, command)
    if not any(info is not None and _executable(info) for info in statuses):
        directory = any(info is not None and stat.S_ISDIR(info.st_mode) for info in statuses)
        reason = "is a directory: permission denied" if directory else "permission denied"
        return _error(f'{failure}: {_UNABLE}: exec: "{command}": {reason}', NOT_EXECUTABLE, command)
    message = last_message(runtime_log) or "the OCI runtime failed and did not say why"
    return CommandFailed(f"failed to start the container's process: {message}", exit_code=UNKNOWN, command=command)


_NOT_IN_PATH = "executable file not found in $PATH"
_UNABLE = "unable to start container process"


def _error(message: str, code: int, command: str) -> InvalidInput:
    return InvalidInput(message, exit_code=code, command=command)


def _candidates(command: str, process: ProcessSpec) -> list[str]:
    if not command:
        return []
    if "/" in command:
        return [os.path.join(process.cwd or "/", command)]
    path = defaults.PATH
    for variable in process.env:
        if variable.startswith("PATH="):
            path = variable[5:]
    return [os.path.join(process.cwd or "/", folder, command) for folder in path.split(":")]


def _executable(info: os.stat_result) -> bool:
    return stat.S_ISREG(info.st_mode) and bool(info.st_mode & 0o111)


def inspect(path: str, root: Path, mounts: Sequence[AnyMount]) -> os.stat_result | None:
    """Return what is at `path` as seen from inside, links followed; a bind mount that covers it is looked into. None
    where there is nothing."""
    covering = [m for m in mounts if isinstance(m, BindMount) and _below(path, m.destination)]
    base, below = os.fspath(root), path
    if covering:
        deepest = max(covering, key=lambda mount: len(mount.destination))
        base, below = deepest.source, os.path.relpath(path, deepest.destination)
    try:
        if below == ".":
            return os.stat(base)
        root_fd = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fd = openat2(root_fd, below, os.O_PATH)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)
    except OSError:
        return None
    finally:
        os.close(root_fd)


def _below(path: str, folder: str) -> bool:
    return os.path.normpath(path).startswith(os.path.normpath(folder).rstrip("/") + "/") or path == folder


def read_log(path: Path) -> str:
    """Return the end of a runtime's log, whose messages may hold what an image chose; empty where there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _LOG_LIMIT))
            return log.read(_LOG_LIMIT).decode(errors="replace")
    except OSError:
        return ""


def last_message(log: str) -> str:
    """Return the last message of a runtime's log in JSON lines (`--log-format json`)."""
    for line in reversed(log.splitlines()):
        try:
            message = json.loads(line)
        except ValueError:
            return line
        if isinstance(message, dict) and message.get("msg"):
            return str(message["msg"])
    return ""
