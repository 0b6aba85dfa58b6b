"""Parser directives: `# syntax=`, `# escape=` and `# check=` at the very top of a Dockerfile.

Rule: Dockerfile reference, "Parser directives". They end at the first line that is not one; each may appear once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from lamina.dockerfile.position import Problem
from lamina.dockerfile.split import SPACES
from lamina.dockerfile.suggest import did_you_mean

KNOWN = ("syntax", "escape", "check")
_FORM = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)\s*=(.+)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive: lower-case name, value as written without outer white space, line counted from 1."""

    name: str
    value: str
    line: int


@dataclass(slots=True)
class DirectiveReader:
    """Read directives, line by line, up to the first line that is no directive."""

    line: int = 0
    done: bool = False
    found: list[Directive] = field(default_factory=list)

    def read(self, text: str) -> Directive | None:
        """Return the directive on the next line, or None. Raise Problem when a directive comes twice."""
        self.line += 1
        directive = None if self.done else self._parse(text)
        if directive is None:
            self.done = True
            return None
        if any(other.name == directive.name for other in self.found):
            raise Problem(f"only one {directive.name} parser directive can be used", "Remove one of the two.")
        self.found.append(directive)
        return directive

    def _parse(self, text: str) -> Directive | None:
        if not text.startswith("#"):
            return None
        match = _FORM.match(text[len("#") :].lstrip(SPACES))
        if match is None or match[1].lower() not in KNOWN:
            return None
        return Directive(match[1].lower(), match[2].strip() or match[2][-1], self.line)


def escape_character(value: str) -> str:
    """Return the escape character that `# escape=value` names. Raise Problem unless it is a backslash or a backtick."""
    if value not in ("\\", "`"):
        raise Problem(f"invalid escape token '{value}' does not match ` or \\", "Write # escape=` or leave it out.")
    return value


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What `# check=` asks for: rules to skip ("all" for every one), and whether a warning fails the build."""

    skip: tuple[str, ...] = ()
    error: bool = False
    experimental: tuple[str, ...] = ()


def check_options(value: str) -> CheckOptions:
    """Parse `skip=A,B;error=true;experimental=C`. Raise Problem for an unknown key or a bad boolean."""
    options: dict[str, str] = {}
    for part in value.split(";"):
        key, separator, setting = part.partition("=")
        key = key.strip()
        if not separator or key not in ("skip", "error", "experimental"):
            known = did_you_mean(key, ("skip", "error", "experimental"))
            advice = known or "Write skip=RULES, error=true or experimental=RULES."
            raise Problem(f"invalid check option {part.strip()!r}", advice)
        options[key] = setting.strip()
    if options.get("error", "false").lower() not in ("true", "false", "1", "0", "t", "f"):
        raise Problem(f"invalid check option error={options['error']}", "Write error=true or error=false.")
    return CheckOptions(
        skip=_names(options.get("skip", "")),
        error=options.get("error", "false").lower() in ("true", "1", "t"),
        experimental=_names(options.get("experimental", "")),
    )


def comment_options(comments: Iterable[str]) -> CheckOptions:
    """Return what a comment `check=…` right above an instruction asks for. A malformed one asks for nothing."""
    for comment in comments:
        match = _FORM.match(comment)
        if match is not None and match[1].lower() == "check":
            with suppress(Problem):
                return check_options(match[2].strip().partition(" ")[0])
    return CheckOptions()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
