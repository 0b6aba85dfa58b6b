"""Another user of the same machine: what it can do is tried by a process that really is that user."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOBODY = 65534


def as_nobody(attack: Callable[[], Any]) -> Any:
    """Return what `attack` returns when user and group 65534, without further groups, call it; JSON carries it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            answer = {"result": attack()}
        except BaseException as error:
            answer = {"error": repr(error)}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        answer = json.loads(file.read() or b'{"error": "the process ended without an answer"}')
    os.waitpid(child, 0)
    assert "error" not in answer, answer["error"]
    return answer["result"]


def open_to_nobody(root: Path) -> list[str]:
    """Return the paths at and below `root` that nobody can read, write, execute, list or pass through."""
    return list(as_nobody(lambda: [path for path in _walk(root) if _is_open(path)]))


def _walk(root: Path) -> list[str]:
    below = [os.path.join(folder, name) for folder, *names in os.walk(root) for name in (*names[0], *names[1])]
    return [str(root), *below]


def _is_open(path: str) -> bool:
    return any(os.access(path, way) for way in (os.R_OK, os.W_OK, os.X_OK))
