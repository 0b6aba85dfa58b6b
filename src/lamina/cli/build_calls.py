"""`lamina build --call=…`: what is asked for instead of an image, and how the answer is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lamina.errors import InvalidInput

if TYPE_CHECKING:
    from lamina.api.build_calls import CallResult

_BUILD = "build"
_FORMATS = ("text", "json", "sarif")


class BuildCall(NamedTuple):
    """A call, "" for a build, and the format of its answer."""

    name: str
    format: str


def build_call(call: str, check: bool, format: str) -> BuildCall:
    """Return what `--call=NAME[,format=FORMAT]`, `--check` and `--format` ask for together. Raise InvalidInput."""
    name, *settings = call.split(",")
    for setting in settings:
        key, _, value = setting.partition("=")
        if key != "format":
            raise InvalidInput(f"invalid setting {setting!r} of --call", advice="Write --call=check,format=json.")
        format = value
    name = "check" if check else "check" if name == "lint" else name
    if name != _BUILD:
        from lamina.api.build_calls import CALLS  # with all checks of Dockerfiles, for which a build need not wait

        if name not in CALLS:
            raise InvalidInput(f"unknown call {name!r}", advice=f"Known are {_BUILD}, {', '.join(CALLS)}.")
    if (format or "text") not in _FORMATS or (format == "sarif" and name != "check"):
        raise InvalidInput(f"unknown format {format!r} for {name}", advice="Known are text and json, for check sarif.")
    if name == _BUILD and format:
        raise InvalidInput("--format is for --check and --call", advice="Add --check, or leave the format out.")
    return BuildCall("" if name == _BUILD else name, format or "text")


def print_answer(result: CallResult, format: str) -> int:
    """Print an answer and return the exit code, which is 1 for a check that found something."""
    from lamina.api.build_call_text import result_text, sarif
    from lamina.api.build_calls import CheckResult
    from lamina.formats.text import printable

    if format == "sarif" and isinstance(result, CheckResult):
        from lamina import __version__

        print(_indented(sarif(result, __version__)))
    elif format == "json":
        print(_indented(result))
    else:
        print(printable(result_text(result), "\n\t"), end="")
        if isinstance(result, CheckResult):
            count = len(result.warnings)
            warnings = "no warnings" if not count else "one warning" if count == 1 else f"{count} warnings"
            print(f"\nThe check found {warnings}{' and an error' if result.build_error else ''}.")
    return int(isinstance(result, CheckResult) and not result.is_clean)


def _indented(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
