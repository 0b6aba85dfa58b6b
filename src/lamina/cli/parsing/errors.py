"""What can be wrong with a command line, and how it is told."""

from __future__ import annotations

from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class WrongUsage(Exception):
    """The command line is wrong. `path` is the command that can tell how to write it, filled in on the way."""

    path = ""


class WrongFlag(WrongUsage):
    """A flag is unknown, lacks its value, or has a wrong one."""


class HelpWanted(Exception):
    """`--help` was given. `is_missing` tells that it was not, and that the command cannot do without a word more."""

    def __init__(self, is_missing: bool = False) -> None:
        super().__init__()
        self.is_missing = is_missing


def unknown_flag(name: str, known: Iterable[str]) -> WrongFlag:
    """Return the error for a flag that there is not, with the names that are close to it."""
    from difflib import get_close_matches

    long_names = [other for other in known if other.startswith("--")]
    close = [repr(other) for other in sorted(get_close_matches(name, long_names))] if name.startswith("--") else []
    advice = f". Did you mean {close[0]}?" if len(close) == 1 else ""
    if len(close) > 1:
        advice = f". (Did you mean one of: {', '.join(close)}?)"
    return WrongFlag(f"No such option '{name}'{advice}")
