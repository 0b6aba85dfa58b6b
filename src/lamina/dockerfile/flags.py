"""The `--flag[=value]` options of an instruction, checked against what it knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from lamina.dockerfile.position import Problem
from lamina.dockerfile.suggest import did_you_mean


class Kind(Enum):
    """What a flag takes."""

    BOOL = "bool"
    TEXT = "text"
    TEXTS = "texts"  # may come more than once


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that were given: every value in order of appearance."""

    given: Mapping[str, tuple[str, ...]]

    def text(self, name: str) -> str:
        """The value of a TEXT flag, empty when it was not given."""
        return self.given[name][0] if name in self.given else ""

    def texts(self, name: str) -> tuple[str, ...]:
        return self.given.get(name, ())

    def optional_bool(self, name: str) -> bool | None:
        """The value of a BOOL flag, None when it was not given."""
        return self.given[name][0] == "true" if name in self.given else None

    def bool(self, name: str) -> bool:
        return self.optional_bool(name) or False


def parse_flags(flags: Iterable[str], known: Mapping[str, Kind]) -> Flags:
    """Check flags against `known`. Raises Problem for an unknown or repeated flag, or a missing or bad value."""
    given: dict[str, tuple[str, ...]] = {}
    for flag in flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        kind = known.get(name)
        if kind is None:
            raise Problem(
                f"unknown flag: --{name}", did_you_mean(f"--{name}", [f"--{flag}" for flag in known]) or _listing(known)
            )
        if name in given and kind is not Kind.TEXTS:
            raise Problem(f"duplicate flag specified: --{name}", "Give it once.")
        if kind is Kind.BOOL:
            value = _boolean(name, value, bool(equals))
        elif not equals:
            raise Problem(f"missing a value on flag: --{name}", f"Write --{name}=value.")
        given[name] = (*given.get(name, ()), value)
    return Flags(given)


def _listing(known: Mapping[str, Kind]) -> str:
    return f"Known here: {', '.join('--' + name for name in sorted(known))}." if known else "It takes no flags."


def _boolean(name: str, value: str, given: bool) -> str:
    if given and not value:
        raise Problem(f"missing a value on flag: --{name}", f"Write --{name} or --{name}=false.")
    if value.lower() not in ("", "true", "false"):
        raise Problem(f"expecting boolean value for flag --{name}, not: {value}", "Write true or false.")
    return value.lower() or "true"
