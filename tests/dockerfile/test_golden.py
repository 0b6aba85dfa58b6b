"""Whole files: what is understood of good ones, and what is said about wrong ones."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

import lamina.dockerfile
from lamina.dockerfile.flagged import ADD_FLAGS, COPY_FLAGS, HEALTHCHECK_FLAGS, RUN_FLAGS
from lamina.dockerfile.interpret import READERS
from lamina.dockerfile.mounts import SHARING, TYPES


def _golden() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dockerfile_golden", Path(__file__).parent / "golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = _golden()


@pytest.mark.parametrize("path", golden.GOLDEN, ids=lambda path: path.stem)
def test_a_good_file_is_understood_as_written_down(path: Path) -> None:
    assert golden.described(path) == path.with_suffix(".json").read_text()


@pytest.mark.parametrize("path", golden.WRONG, ids=lambda path: path.stem)
def test_a_wrong_file_gets_the_written_down_complaint(path: Path) -> None:
    assert golden.complaint(path) == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", golden.CHECKED, ids=lambda path: path.stem)
def test_the_checks_find_what_is_written_down(path: Path) -> None:
    assert golden.findings(path) == path.with_suffix(".txt").read_text()


SOURCE = Path(lamina.dockerfile.__file__).parent
# Files of ignore rules have tests of their own, and so have bounds: a golden file beyond one would be a huge one.
ELSEWHERE = {"ignore.py", "pathpattern.py"}
BOUNDS = re.compile(r"MAX_SIZE|DEEPEST|LARGEST|SEARCHED|nested too deeply|failed to reach build target")


def _refusals() -> dict[str, set[int]]:
    """The lines of the parser that raise an error about a Dockerfile, by file."""
    refusals: dict[str, set[int]] = {}
    for path in sorted(SOURCE.glob("*.py")):
        text = path.read_text()
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Raise) and node.exc]
        lines = {node.lineno for node in nodes if not BOUNDS.search(ast.get_source_segment(text, node) or "")}
        if path.name not in ELSEWHERE and lines:
            refusals[str(path)] = lines
    return refusals


def test_every_error_of_the_language_has_a_golden_file() -> None:
    missing = _refusals()

    def line(frame: FrameType, event: str, argument: object) -> Any:
        missing[frame.f_code.co_filename].discard(frame.f_lineno)
        return line

    def call(frame: FrameType, event: str, argument: object) -> Any:
        return line if frame.f_code.co_filename in missing else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        for path in golden.WRONG:
            golden.complaint(path)
        for path in golden.CHECKED:
            golden.findings(path)
    finally:
        sys.settrace(before)
    assert {Path(name).name: sorted(lines) for name, lines in missing.items() if lines} == {}


def test_every_instruction_flag_and_kind_of_mount_is_in_a_golden_file() -> None:
    text = "\n".join(path.read_text(errors="replace") for path in golden.GOLDEN)
    flags = {*RUN_FLAGS, *COPY_FLAGS, *ADD_FLAGS, *HEALTHCHECK_FLAGS, "platform"}
    assert not [name for name in READERS if not re.search(rf"^\s*{name}\b", text, re.MULTILINE | re.IGNORECASE)]
    assert not [name for name in flags if f"--{name}" not in text]
    assert not [name for name in TYPES if f"type={name}" not in text]
    assert not [name for name in SHARING if f"sharing={name}" not in text]
