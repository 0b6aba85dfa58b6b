"""The command line of a process of lamina's own: an interpreter that loads one module and nothing it does not need."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

_PACKAGE_ROOT = str(Path(__file__).parents[2])
_PROGRAM = """import sys
sys.path.insert(0, sys.argv[1])
from {module} import main
main({numbers}, *sys.argv[2:-1])"""


def command(module: str, numbers: Sequence[int], texts: Sequence[str] = (), *, title: str) -> list[str]:
    """Return what runs `main(*numbers, *texts)` of `module`. The `title` comes last, to be seen in lists of processes.

    The interpreter looks at no environment and no site-packages (`-I -S`), which halves its start.
    """
    program = _PROGRAM.format(module=module, numbers=", ".join(map(str, numbers)))
    return [sys.executable, "-I", "-S", "-c", program, _PACKAGE_ROOT, *texts, title]
