"""The answers to `build --call=…` as text for people, and findings as SARIF for editors and code hosts.

Rule: BuildKit's frontend/subrequests for the tables and the marked lines; OASIS, SARIF 2.1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lamina.api.build_calls import (
    CallResult,
    CheckResult,
    CheckWarning,
    Location,
    OutlineResult,
    SourceFile,
    TargetsResult,
)

_AROUND = (2, 1)  # lines shown above and below the one that is meant, and several
_RULER = "-" * 20
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def result_text(result: CallResult) -> str:
    """Return an answer as text. That of a check is empty when nothing was found."""
    if isinstance(result, CheckResult):
        return _check_text(result)
    return _targets_text(result) if isinstance(result, TargetsResult) else _outline_text(result)


def _check_text(result: CheckResult) -> str:
    parts = [_warning_text(warning, result.sources) for warning in result.warnings]
    if result.build_error is not None:
        error = result.build_error
        parts.append(f"{error.message}\n{marked_lines(result.sources[0], error.location)}")
    return "".join(parts)


def _warning_text(warning: CheckWarning, sources: Sequence[SourceFile]) -> str:
    address = f" - {warning.url}" if warning.url else ""
    source = sources[warning.location.source_index]
    return f"\nWARNING: {warning.rule_name}{address}\n{warning.detail}\n{marked_lines(source, warning.location)}"


def marked_lines(source: SourceFile, location: Location) -> str:
    """Return the lines that are meant, marked, with some above and below. Empty without a line."""
    numbers = [line.start.line for line in location.ranges]
    text = source.data.decode("utf-8", "replace").split("\n")
    if not numbers or numbers[0] > len(text):
        return ""
    margin = _AROUND[len(numbers) > 1]
    around = range(max(1, numbers[0] - margin), min(len(text), numbers[-1] + margin) + 1)
    rows = (f" {number:3} | {'>>>' if number in numbers else '   '} {text[number - 1]}\n" for number in around)
    return f"{source.filename}:{numbers[0]}\n{_RULER}\n{''.join(rows)}{_RULER}\n"


def _targets_text(result: TargetsResult) -> str:
    rows = []
    for target in result.targets:
        default = "(default)" if target.default else ""
        rows.append((" ".join(filter(None, (target.name, default))), target.description))
    return table([("TARGET", "DESCRIPTION"), *rows], gap=1)


def _outline_text(result: OutlineResult) -> str:
    parts = []
    if result.name or result.description:
        described = [("DESCRIPTION:", result.description)] if result.description else []
        parts.append(table([("TARGET:", result.name or "(default)"), *described], gap=1))
    if result.args:
        rows = [(argument.name, argument.value, argument.description) for argument in result.args]
        parts.append(table([("BUILD ARG", "VALUE", "DESCRIPTION"), *rows]))
    for title, needs in (("SECRET", result.secrets), ("SSH", result.ssh)):
        if needs:
            parts.append(table([(title, "REQUIRED"), *((n.name, "true" if n.required else "") for n in needs)]))
    return "".join(f"{part}\n" for part in parts)


def table(rows: Iterable[tuple[str, ...]], gap: int = 3) -> str:
    """Return rows with their columns one below the other."""
    rows = [tuple(cell.replace("\n", " ") for cell in row) for row in rows]
    widths = [max(map(len, column)) + gap for column in zip(*rows, strict=True)]
    widths[-1] = 0
    return "".join("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + "\n" for row in rows)


def sarif(result: CheckResult, version: str) -> dict[str, Any]:
    """Return findings as a SARIF log with one run; `version` is that of the tool."""
    rules = {warning.rule_name: warning for warning in result.warnings}
    entries = [
        _sarif_result(warning.rule_name, "warning", warning.detail, warning.location, result)
        for warning in result.warnings
    ]
    if result.build_error is not None:
        error = result.build_error
        entries.append(_sarif_result("BuildError", "error", error.message, error.location, result))
    driver = {
        "name": "lamina",
        "version": version,
        "rules": [_sarif_rule(rules[name]) for name in sorted(rules)],
    }
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": entries}]}


def _sarif_rule(warning: CheckWarning) -> dict[str, Any]:
    address = {"helpUri": warning.url} if warning.url else {}
    return {"id": warning.rule_name, "shortDescription": {"text": warning.description}, **address}


def _sarif_result(rule: str, level: str, message: str, location: Location, result: CheckResult) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": result.sources[location.source_index].filename}}
    if location.ranges:
        first, last = location.ranges[0].start.line, location.ranges[-1].end.line
        physical["region"] = {"startLine": first, "endLine": last}
    locations = [{"physicalLocation": physical}]
    return {"ruleId": rule, "level": level, "message": {"text": message}, "locations": locations}
