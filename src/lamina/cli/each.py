"""Commands that do one thing to each of their arguments: go on after a failure, and tell all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from lamina.cli.terminal.screen import quoted
from lamina.errors import LaminaError


def for_each(names: Iterable[str], action: Callable[[str], object], *, forgive: type[LaminaError] | None = None) -> int:
    """Call `action` for each name, printing errors as they come; the exit code. Kind `forgive` does not count."""
    code = 0
    for name in names:
        try:
            action(name)
        except LaminaError as error:
            sys.stdout.flush()
            prefix = "Error response from daemon: " if error.facts.get("from_daemon") else "lamina: "
            print(f"{prefix}{quoted(str(error))}", file=sys.stderr)
            code = code if forgive is not None and isinstance(error, forgive) else 1
    return code


def for_each_named(names: Iterable[str], action: Callable[[str], object]) -> int:
    """`for_each`, printing every name that went well."""

    def act(name: str) -> None:
        action(name)
        print(name)

    return for_each(names, act)
