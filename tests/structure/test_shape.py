"""The code's shape: sizes a reader can hold, and no markers of unfinished work."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import lamina.errors as errors

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "lamina"
LONGEST_FILE = 450
LONGEST_FUNCTION = 50
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b|# type: ignore|# noqa")


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def test_files_fit_a_reader() -> None:
    long = {str(p.relative_to(SOURCE)): n for p in sources() if (n := len(p.read_text().splitlines())) > LONGEST_FILE}
    assert not long, f"a second room may be hiding inside: {long}"


def test_functions_fit_a_glance() -> None:
    long = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}: {length} lines")
    assert not long, "\n".join(long)


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(p.relative_to(SOURCE))
        for p in sources()
        if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert not silent, silent


def test_every_error_kind_has_an_outcome() -> None:
    kinds = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.LaminaError)}
    assert kinds - {errors.LaminaError} == set(errors.OUTCOMES)


def test_the_readme_fits_a_screenful_or_three() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
