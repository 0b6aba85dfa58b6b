"""What a check knows beside the file, and the names with their values that an instruction sees."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from lamina.dockerfile.expand import Expanded, Lexer
from lamina.dockerfile.ignore import IgnoreMatcher
from lamina.dockerfile.position import Problem
from lamina.formats.platform import Platform

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FOR_SCANNERS = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})  # read by BuildKit, set by nobody
_NEAR = 2  # letters by which a name may differ from the one that was meant
_LONGEST = 32  # letters of a name that is compared with others
_LARGEST = 8 << 20  # characters of all values that a file gives to names
_CANDIDATES = 200  # names that it is compared with


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """What a base image decides about the checks of its stage: environment, SHELL, ONBUILD triggers, platform."""

    environment: Mapping[str, str] = field(default_factory=dict)
    has_shell: bool = False
    triggers: tuple[str, ...] = ()
    platform: Platform | None = None


FindBase = Callable[[str, Platform | None], BaseFacts | None]


def unknown_base(name: str, platform: Platform | None) -> None:
    """Know no image: a FindBase."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a check knows beside the file.

    `build_args` are those of the command line, `predefined` names such as TARGETPLATFORM with their values, `platform`
    is that of images whose FROM names none. `find_base` returns None for an image that is not here: then its stage is
    not searched for undefined names.
    """

    build_args: Mapping[str, str | None] = field(default_factory=dict)
    predefined: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    ignored: IgnoreMatcher | None = None
    find_base: FindBase = unknown_base

    @property
    def given(self) -> Mapping[str, str]:
        """Return the arguments of the command line that have a value."""
        return {name: value for name, value in self.build_args.items() if value is not None}


@dataclass(slots=True)
class Room:
    """The room for the values of one file's names, in characters."""

    left: int = _LARGEST

    def take(self, size: int) -> None:
        """Take some of it. Raise Problem where so much is not left."""
        self.left -= size
        if self.left < 0:
            advice = "Write long values into a file."
            raise Problem(f"the values of ENV and ARG are larger than {_LARGEST} characters together", advice)


@dataclass(slots=True)
class Scope:
    """The names that an instruction of a stage sees. `declared` are arguments, with a value or without.

    `is_whole` is False where the environment of the base is not known.
    """

    escape: str
    environment: dict[str, str]
    arguments: dict[str, str] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    is_whole: bool = True
    room: Room = field(default_factory=Room)

    def set(self, names: dict[str, str], values: Mapping[str, str]) -> None:
        """Give values to names of the environment or of the arguments. Raise Problem where all are too much."""
        self.room.take(sum(map(len, values.values())))
        names.update(values)

    def values(self) -> Mapping[str, str]:
        """Return all names with their values, as they are at any time. The environment wins over arguments."""
        return ChainMap(self.environment, self.arguments)

    def expand(self, word: str, *, keep_quotes: bool = False) -> Expanded:
        """Expand a word. Raise Problem as `Lexer.process` does."""
        return Lexer(self.escape, keep_quotes=keep_quotes).process(word, self.values())

    def undefined(self, expanded: Expanded) -> list[str]:
        """Return the names in a word that nothing defines."""
        return sorted(expanded.missing - self.declared - _FOR_SCANNERS) if self.is_whole else []

    def __len__(self) -> int:
        return len(self.environment) + len(self.arguments) + len(self.declared)

    def copy(self) -> Scope:
        """Return a scope for a stage that begins with this one."""
        return Scope(self.escape, dict(self.environment), dict(self.arguments), set(self.declared), self.is_whole)


def near(name: str, names: Iterable[str]) -> str:
    """Return the name that was probably meant, empty where none is near. Long names, and many, are not compared."""
    if len(name) > _LONGEST:
        return ""
    candidates = [other for other in islice(names, _CANDIDATES) if abs(len(other) - len(name)) <= _NEAR]
    distance, other = min(((_distance(name, other), other) for other in candidates), default=(_NEAR + 1, ""))
    return other if 0 < distance <= _NEAR else ""


def _distance(one: str, other: str) -> int:
    """Return how many letters have to be put in, taken out or changed to make one text of the other."""
    row = list(range(len(other) + 1))
    for line, letter in enumerate(one, 1):
        before, row[0] = row[0], line
        for column, letter_of_other in enumerate(other, 1):
            cost = before + (letter != letter_of_other)
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, cost)
    return row[-1]
