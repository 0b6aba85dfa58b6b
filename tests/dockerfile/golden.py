"""How a parsed Dockerfile is written down in the golden files; run this file to write them anew, then read the diff."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lamina.dockerfile.checks.check import check
from lamina.dockerfile.checks.scope import BaseFacts, Surroundings
from lamina.dockerfile.dockerfile import parse
from lamina.dockerfile.ignore import IgnoreMatcher, parse_ignore
from lamina.dockerfile.syntax import decode
from lamina.errors import LaminaError
from lamina.formats.platform import Platform

HERE = Path(__file__).parent
GOLDEN = sorted((HERE / "golden").glob("*.Dockerfile"))
WRONG = sorted((HERE / "wrong").glob("*.Dockerfile"))
CHECKED = sorted((HERE / "checks").glob("*.Dockerfile"))
SURROUNDINGS = Surroundings(
    predefined={
        "BUILDPLATFORM": "linux/amd64",
        "TARGETPLATFORM": "linux/amd64",
        "TARGETOS": "linux",
        "TARGETARCH": "amd64",
        "TARGETSTAGE": "default",
    },
    platform=Platform("linux", "amd64"),
    ignored=IgnoreMatcher(parse_ignore((HERE / "checks/dockerignore").read_text())),
    find_base=lambda name, platform: BaseFacts(),
)


def _row(instruction: Any) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(instruction).items() if value not in ("", (), None, False, 0)}
    origin = fields.pop("origin")
    assert not fields.keys() & {"is", "lines", "text"}, f"a field of {type(instruction).__name__} needs another name"
    lines = f"{origin['lines']['first']}-{origin['lines']['last']}"
    return {"is": type(instruction).__name__, "lines": lines, "text": origin["text"], **fields}


def described(path: Path) -> str:
    """Everything that was understood of a file, as JSON."""
    file = parse(decode(path.read_bytes()))
    document = {
        "escape": file.escape,
        "arguments": [_row(argument) for argument in file.arguments],
        "stages": [[_row(stage.base), *map(_row, stage.instructions)] for stage in file.stages],
        "warnings": [f"{warning.lines}: {warning.message}" for warning in file.warnings],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def complaint(path: Path) -> str:
    """What is said about a wrong file."""
    try:
        parse(decode(path.read_bytes()))
    except LaminaError as error:
        return f"{error}\n"
    return "nothing wrong\n"


def findings(path: Path) -> str:
    """What the checks find in a file, a line for each finding."""
    result = check(parse(decode(path.read_bytes())), SURROUNDINGS)
    lines = [f"{finding}\n" for finding in result.findings]
    return "".join(lines) + (f"mistake: {result.mistake.facts['reason']}\n" if result.mistake else "")


def write() -> None:
    for path in GOLDEN:
        path.with_suffix(".json").write_text(described(path))
    for path in WRONG:
        path.with_suffix(".txt").write_text(complaint(path))
    for path in CHECKED:
        path.with_suffix(".txt").write_text(findings(path))


if __name__ == "__main__":
    write()
