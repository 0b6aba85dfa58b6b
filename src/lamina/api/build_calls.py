"""What a build is asked for instead of an image, as JSON: the findings of its checks, its targets, its outline.

Rule: moby/buildkit, frontend/subrequests: the documents that `docker buildx build --call=check,format=json` writes.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lamina.dockerfile.checks.bases import Argument
from lamina.dockerfile.checks.check import Checked
from lamina.dockerfile.checks.findings import Finding
from lamina.dockerfile.checks.outline import Need, Outline, Target
from lamina.dockerfile.position import Lines
from lamina.dockerfile.suggest import with_guess
from lamina.errors import InvalidInput

LANGUAGE = "Dockerfile"
CALLS = ("check", "outline", "targets")


class _Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Names in JSON are in camelCase. What has its default value is left out."""


class Position(_Document, frozen=True, kw_only=True):
    """A line of a file, counted from 1."""

    line: int


class LineRange(_Document, frozen=True, kw_only=True):
    """A line, as BuildKit writes it: from itself to itself."""

    start: Position
    end: Position


class Location(_Document, frozen=True, kw_only=True):
    """Lines of a source, one range for each."""

    source_index: int = 0
    ranges: tuple[LineRange, ...] = ()

    @classmethod
    def of(cls, lines: Lines) -> Location:
        """Return the location of lines that stand one below the other."""
        numbers = range(lines.first, lines.last + 1)
        return cls(ranges=tuple(LineRange(start=Position(line=n), end=Position(line=n)) for n in numbers))


class CheckWarning(_Document, frozen=True, kw_only=True):
    """One finding."""

    rule_name: str
    description: str
    url: str = ""
    detail: str
    location: Location

    @classmethod
    def of(cls, finding: Finding) -> CheckWarning:
        """Return a finding as clients get it."""
        rule, location = finding.rule, Location.of(finding.lines)
        return cls(
            rule_name=rule.name, description=rule.description, url=rule.url, detail=finding.detail, location=location
        )


class SourceFile(_Document, frozen=True, kw_only=True):
    """The file that was looked at."""

    filename: str
    data: bytes
    language: str = ""


class Mistake(_Document, frozen=True, kw_only=True):
    """Why the file cannot be built."""

    message: str
    location: Location


class CheckResult(_Document, frozen=True, kw_only=True):
    """The findings of a file in the order of its lines, and `build_error` when it cannot be built."""

    warnings: tuple[CheckWarning, ...]
    sources: tuple[SourceFile, ...]
    build_error: Mistake | None = None

    @property
    def is_clean(self) -> bool:
        """Return whether nothing was found."""
        return not self.warnings and self.build_error is None


class TargetDocument(_Document, frozen=True, kw_only=True):
    """A stage that can be built, with the comment that describes it."""

    name: str = ""
    default: bool = False
    description: str = ""
    base: str = ""
    platform: str = ""
    location: Location


class TargetsResult(_Document, frozen=True, kw_only=True):
    """All stages of a file. The last one is the default."""

    targets: tuple[TargetDocument, ...]
    sources: tuple[bytes, ...]


class ArgumentDocument(_Document, frozen=True, kw_only=True):
    """A build argument with its value when nobody gives another one."""

    name: str
    description: str = ""
    value: str = ""
    location: Location


class NeedDocument(_Document, frozen=True, kw_only=True):
    """A secret or an ssh agent."""

    name: str
    required: bool = False
    location: Location


class OutlineResult(_Document, frozen=True, kw_only=True):
    """What a target takes: arguments, secrets and ssh agents."""

    name: str = ""
    description: str = ""
    args: tuple[ArgumentDocument, ...] = ()
    secrets: tuple[NeedDocument, ...] = ()
    ssh: tuple[NeedDocument, ...] = ()
    sources: tuple[bytes, ...] = ()


CallResult = CheckResult | TargetsResult | OutlineResult


def check_result(name: str, raw: bytes, checked: Checked | InvalidInput) -> CheckResult:
    """Return what a check says of the file `name`; an error is why the file was not even understood."""
    sources = (SourceFile(filename=name, data=raw, language=LANGUAGE),)
    if isinstance(checked, InvalidInput):
        return CheckResult(warnings=(), sources=sources, build_error=_mistake(checked, checked.message))
    mistake = None
    if checked.mistake is not None:
        reason = checked.mistake.facts.get("reason") if checked.is_parsed else None
        mistake = _mistake(checked.mistake, reason or checked.mistake.message)
    else:
        try:
            checked.refuse()
        except InvalidInput as error:
            mistake = _mistake(error, error.message)
    return CheckResult(warnings=tuple(map(CheckWarning.of, checked.findings)), sources=sources, build_error=mistake)


def _mistake(error: InvalidInput, message: str) -> Mistake:
    first = error.facts.get("line")
    location = Location.of(Lines(first, error.facts.get("last_line", first))) if first else Location()
    return Mistake(message=with_guess(message, error.facts.get("fix") or "")[0], location=location)


def targets_result(raw: bytes, targets: Iterable[Target]) -> TargetsResult:
    """Return the targets of a file."""
    documents = tuple(
        TargetDocument(
            name=target.name,
            default=target.is_default,
            description=target.description,
            base=target.base,
            platform=target.platform,
            location=Location.of(target.lines),
        )
        for target in targets
    )
    return TargetsResult(targets=documents, sources=(raw,))


def outline_result(raw: bytes, outline: Outline) -> OutlineResult:
    """Return the outline of a target."""
    return OutlineResult(
        name=outline.name,
        description=outline.description,
        args=tuple(map(_argument, outline.arguments)),
        secrets=tuple(map(_need, outline.secrets)),
        ssh=tuple(map(_need, outline.agents)),
        sources=(raw,),
    )


def _argument(argument: Argument) -> ArgumentDocument:
    location = Location.of(argument.lines)
    return ArgumentDocument(
        name=argument.name, description=argument.description, value=argument.value, location=location
    )


def _need(need: Need) -> NeedDocument:
    return NeedDocument(name=need.name, required=need.is_required, location=Location.of(need.lines))
