"""Rules about what builds may fetch, and what they fetch in its place.

Rule: moby/buildkit, sourcepolicy. In each policy the last rule that fits decides between ALLOW and DENY; a CONVERT that
changes the source ends the round, and all policies are asked again. Python's regular expressions may take for ever
where Go's do not, so those that could are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from lamina.builder.context.git_address import GitAddress, is_git
from lamina.errors import Forbidden, InvalidInput, Unsupported
from lamina.formats.reference import Reference

IMAGE = "docker-image://"
_CHECKSUM = "http.checksum"  # attributes of sources
_GIT_CHECKSUM = "git.checksum"
_MOST_ROUNDS = 20
_LONGEST = 1024  # characters of an identifier that patterns are tried on
_MOST_REPEATS = 3  # in one pattern: each multiplies the time by the length
_MOST_RULES = 1000
_GROUP = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\$))")


class Action(IntEnum):
    """What a rule does."""

    ALLOW = 0
    DENY = 1
    CONVERT = 2


class Match(IntEnum):
    """How a rule's identifier is compared. Equal text fits always."""

    WILDCARD = 0
    EXACT = 1
    REGEX = 2


class Condition(IntEnum):
    """What an attribute of the source must be."""

    EQUAL = 0
    NOT_EQUAL = 1
    MATCHES = 2


@dataclass(frozen=True)
class Rule:
    """One rule. `constraints` are names and values of attributes; `identifier` and `attributes` replace the source's.

    Raise InvalidInput for a pattern that is none, and Unsupported for one that could take too long.
    """

    action: Action
    selector: str
    match: Match = Match.WILDCARD
    constraints: tuple[tuple[str, str, Condition], ...] = ()
    identifier: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.match is Match.REGEX:
            _compiled(self.selector)
        if self.match is Match.WILDCARD and "**" in self.selector:
            raise InvalidInput(f'invalid wildcard: "**" in {self.selector!r}', advice="Write a single *.")
        for _, value, condition in self.constraints:
            if condition is Condition.MATCHES:
                _compiled(value)

    def fits(self, identifier: str, attributes: Mapping[str, str]) -> dict[str, str] | None:
        """Return the parts of a source that the pattern names, by number and name; None for one that does not fit."""
        for name, value, condition in self.constraints:
            actual = attributes.get(name, "")
            if condition is Condition.MATCHES:
                if not _compiled(value).search(_short(actual)):
                    return None
            elif (actual == value) is not (condition is Condition.EQUAL):
                return None
        parts = None
        if self.match is Match.WILDCARD:
            parts = _wildcard_parts(self.selector, identifier)
        elif self.match is Match.REGEX and (match := _compiled(self.selector).search(_short(identifier))):
            numbered = enumerate((match[0], *match.groups()))
            parts = {**match.groupdict(""), **{str(number): text or "" for number, text in numbered}}
        return {"0": identifier} if parts is None and identifier == self.selector else parts

    def converted(self, parts: Mapping[str, str]) -> str:
        """Return what a source with these parts becomes: `$1` and `${name}` stand for them."""
        target = self.identifier or self.selector
        return _GROUP.sub(lambda found: "$" if found[3] else parts.get(found[1] or found[2], ""), target)


def _wildcard_parts(pattern: str, text: str) -> dict[str, str] | None:
    """Return what each `*` stands for, by number, where earlier ones take as much as they can; None for no match."""
    first, *literals = pattern.split("*")
    if not literals:
        return {"0": text} if text == pattern else None
    if not text.startswith(first):
        return None
    stars: list[str] = []
    end = len(text)
    for number, literal in enumerate(reversed(literals)):
        # From the end, each literal stands as far to the right as it can.
        start = end - len(literal) if number == 0 and text.endswith(literal) else text.rfind(literal, len(first), end)
        if start < len(first) or (number == 0 and not text.endswith(literal)):
            return None
        stars.append(text[start + len(literal) : end])
        end = start
    stars = [text[len(first) : end], *reversed(stars[1:])]
    return {"0": text} | {str(number): star for number, star in enumerate(stars, 1)}


def _short(text: str) -> str:
    if len(text) > _LONGEST:
        raise InvalidInput(f"a source of more than {_LONGEST} characters cannot be compared with the policy")
    return text


@lru_cache(maxsize=256)
def _compiled(written: str) -> re.Pattern[str]:
    """Return a pattern. Raise InvalidInput for what is none, Unsupported for one that could take too long."""
    try:
        compiled = re.compile(written, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidInput(f"invalid pattern {written!r} in the source policy: {error}") from None
    bare = re.sub(r"\\[^1-9]|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", written, flags=re.DOTALL)  # no escapes, no classes
    if len(re.findall(r"[*+{]", bare)) > _MOST_REPEATS or re.search(r"\)[*+{]|\(\?[^:P]|\(\?P[^<]|\\[1-9]", bare):
        raise Unsupported(
            f"the pattern {written!r} in the source policy could take too long",
            advice=f"Use at most {_MOST_REPEATS} repeats, none of them of a group.",
        )
    return compiled


@dataclass(frozen=True)
class SourcePolicy:
    """The policies of one build, in order."""

    policies: Sequence[Sequence[Rule]] = ()

    def __post_init__(self) -> None:
        if sum(map(len, self.policies)) > _MOST_RULES:
            raise InvalidInput(f"the source policy has more than {_MOST_RULES} rules")

    def and_also(self, others: SourcePolicy) -> SourcePolicy:
        """Return these policies and others behind them."""
        return SourcePolicy((*self.policies, *others.policies))

    def source(self, identifier: str, attributes: Mapping[str, str] | None = None) -> tuple[str, dict[str, str]]:
        """Return what is fetched in the place of a source: its identifier, such as `docker-image://…`, and attributes.

        Raise Forbidden for a source that is denied, and InvalidInput where the rules change it for ever.
        """
        changed = dict(attributes or {})
        for _ in range(_MOST_ROUNDS):
            result = next(filter(None, (_evaluated(rules, identifier, changed) for rules in self.policies)), None)
            if result is None:
                return identifier, changed
            identifier, changed = result
        raise InvalidInput("too many operations: the source policy changes a source without end")

    def image(self, name: str) -> str | None:
        """Return the source in the place of an image, None for no other. Raise as `source` does."""
        if not self.policies:
            return None
        before = f"{IMAGE}{Reference.parse(name).with_default_tag()}"
        after, _ = self.source(before)
        return after if after != before else None

    def address(self, location: str, checksum: str = "") -> tuple[str, str]:
        """Return what is fetched in the place of a file or repository on the web, and the checksum that it must have.

        Raise as `source` does, and InvalidInput for a source of another kind.
        """
        if not self.policies:
            return location, checksum
        remote, separator, fragment = location.partition("#")
        is_repository = is_git(location)
        before = f"git://{GitAddress.parse(remote).remote.partition('://')[2]}{separator}{fragment}"
        name = _GIT_CHECKSUM if is_repository else _CHECKSUM
        after, attributes = self.source(before if is_repository else location, {name: checksum} if checksum else None)
        if is_repository and after == before:
            return location, attributes.get(name, "")
        if is_repository and after.startswith("git://"):
            after = f"https://{after.removeprefix('git://')}"
        if not after.startswith(("http://", "https://")) or is_git(after) is not is_repository:
            raise InvalidInput(f"the source policy changes {location} into {after}, which is of another kind")
        return after, attributes.get(name, "")


ALLOW_ALL = SourcePolicy()


def _evaluated(
    rules: Sequence[Rule], identifier: str, attributes: Mapping[str, str]
) -> tuple[str, dict[str, str]] | None:
    """Return the source that a policy puts in the place of one, None for no change. Raise Forbidden."""
    denied = False
    for rule in rules:
        parts = rule.fits(identifier, attributes)
        if parts is None:
            continue
        if rule.action is Action.CONVERT:
            result = rule.converted(parts), {**attributes, **rule.attributes}
            if result != (identifier, attributes):
                return result
        else:
            denied = rule.action is Action.DENY
    if denied:
        raise Forbidden(
            f'source "{identifier}" denied by policy: source denied by policy',
            advice="Ask who wrote the source policy of this build.",
            source_identifier=identifier,
        )
    return None
