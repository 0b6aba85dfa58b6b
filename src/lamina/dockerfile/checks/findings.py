"""What checks find, without what the file, a comment or the caller leaves out."""

from __future__ import annotations

from dataclasses import dataclass, field

from lamina.dockerfile.checks.rules import Rule
from lamina.dockerfile.directives import CheckOptions, comment_options
from lamina.dockerfile.instructions import Origin
from lamina.dockerfile.position import Lines

ALL = "all"
MOST = 500  # findings of one file: nobody reads more, and a hostile file could have millions


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule, what exactly is wrong, and where it stands."""

    rule: Rule
    detail: str
    lines: Lines

    def __str__(self) -> str:
        return f"{self.rule.name}: {self.detail} (line {self.lines.first})"


@dataclass(slots=True)
class Findings:
    """Collects findings. `options` tells which rules are left out."""

    options: CheckOptions
    _all: dict[Finding, None] = field(default_factory=dict)

    def add(self, rule: Rule, origin: Origin, *words: str, lines: Lines | None = None) -> None:
        """Note that an instruction breaks a rule, unless that rule is left out, or noted for it already.

        A comment `# check=skip=…` right above the instruction leaves it out too. `lines` are those of the instruction
        unless given. Findings beyond `MOST` are not kept.
        """
        here = comment_options(origin.comments)
        if rule.experimental:
            is_checked = _names(rule, self.options.experimental) or _names(rule, here.experimental)
        else:
            is_checked = not (_names(rule, self.options.skip) or _names(rule, here.skip))
        if is_checked and not self.is_full:
            self._all[Finding(rule, rule.detail.format(*words), lines or origin.lines)] = None

    @property
    def is_full(self) -> bool:
        """Return whether `MOST` findings are noted, so that looking for others is no use."""
        return len(self._all) >= MOST

    def in_order(self) -> tuple[Finding, ...]:
        """Return the findings, those of the first lines first."""
        return tuple(sorted(self._all, key=lambda finding: (finding.lines, finding.rule.name, finding.detail)))


def _names(rule: Rule, names: tuple[str, ...]) -> bool:
    return rule.name in names or ALL in names
