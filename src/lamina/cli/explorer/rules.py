"""Rules for an image's use of its bytes, for CI: dive's rules, and its file `.dive-ci`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lamina.api.explorer import ImageReport
from lamina.errors import InvalidInput, NotFound, Unsupported

FILE = ".dive-ci"
_DISABLED = "disabled"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?|)b?", re.IGNORECASE)


class Rules(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an image must keep to. `disabled` switches a rule off; the defaults are dive's.

    Efficiency and share are between 0 and 1. Sizes are in bytes, or with a unit: 20MB is 20,000,000.
    """

    lowest_efficiency: float | str = 0.9
    highest_wasted_bytes: int | str = _DISABLED
    highest_user_wasted_percent: float | str = 0.1


class _Document(msgspec.Struct, frozen=True):
    rules: Rules = Rules()


def load(path: Path, *, must_exist: bool) -> Rules:
    """Return the rules of a file in YAML; the defaults where there is no file, unless it must exist.

    Raise NotFound, InvalidInput, and Unsupported without PyYAML.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        if must_exist:
            raise NotFound(f"{path}: there is no such file", path=str(path)) from None
        return Rules()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}", path=str(path)) from None
    try:
        return (msgspec.yaml.decode(text, type=_Document | None) or _Document()).rules
    except ImportError as error:
        raise Unsupported(
            f"{path} needs PyYAML to be read", advice="Install it with pip install 'lamina[explore]'"
        ) from error
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"{path}: {error}", path=str(path)) from None


class Verdict(msgspec.Struct, frozen=True):
    """What a rule says of an image. `passed` is None for a rule that is switched off."""

    rule: str
    passed: bool | None
    reason: str

    def __str__(self) -> str:
        word = {True: "PASS", False: "FAIL", None: "SKIP"}[self.passed]
        return f"{word}: {self.rule}: {self.reason}"


def verdicts(report: ImageReport, rules: Rules) -> Iterator[Verdict]:
    """Yield what each rule says. Raise InvalidInput for a limit that is no number."""
    efficiency = report.efficiency
    limit = _number("lowestEfficiency", rules.lowest_efficiency)
    yield _verdict("lowestEfficiency", efficiency.score, limit, limit is None or efficiency.score >= limit)
    limit = _bytes("highestWastedBytes", rules.highest_wasted_bytes)
    yield _verdict("highestWastedBytes", efficiency.wasted, limit, limit is None or efficiency.wasted <= limit)
    limit = _number("highestUserWastedPercent", rules.highest_user_wasted_percent)
    yield _verdict(
        "highestUserWastedPercent", efficiency.wasted_share, limit, limit is None or efficiency.wasted_share <= limit
    )


def _verdict(rule: str, value: float, limit: float | None, passed: bool) -> Verdict:
    if limit is None:
        return Verdict(rule, None, _DISABLED)
    return Verdict(rule, passed, f"{value:.6g}, the limit is {limit:g}")


def _number(rule: str, limit: float | str) -> float | None:
    if limit == _DISABLED:
        return None
    try:
        return float(limit)
    except ValueError:
        raise InvalidInput(f"{rule}: {limit!r} is no number", advice="Write 0.9, or disabled.") from None


def _bytes(rule: str, limit: int | str) -> float | None:
    if limit == _DISABLED:
        return None
    match = _SIZE.fullmatch(str(limit))
    if match is None:
        raise InvalidInput(f"{rule}: {limit!r} is no size", advice="Write 20MB, or disabled.")
    return float(match[1]) * _UNITS[match[2].lower()]
