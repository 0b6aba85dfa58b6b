"""Whole files: what is understood of good ones, and what is said about wrong ones."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


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
