"""The code's shape: sizes a reader can hold, words where they are needed, and no markers of unfinished work."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import lamina.errors as errors
from structure.test_layering import EDGES, ORDER

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "lamina"
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b|# type: ignore|# noqa")
WIDE = {"Exception", "BaseException", "LaminaError", "OSError", "RuntimeError"}
LIBRARY = {"client", "engine", "events.py", "volumes"}  # what programs call: every method of it has a docstring
# Folders of tests that are about no one room.
BESIDE_ROOMS = {"peers", "structure", "support", "e2e", "crash", "differential", "hostile", "machine"}

SOURCES = sorted(SOURCE.rglob("*.py"))
BESIDE = sorted(path for folder in ("tests", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
FILES = [*SOURCES, *BESIDE]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_files_fit_a_reader() -> None:
    long = {str(path.relative_to(ROOT)): count for path in FILES if (count := len(lines_of(path))) > LONGEST_FILE}
    assert not long, f"a second room may be hiding inside: {long}"


def test_functions_fit_a_glance() -> None:
    long = [
        f"{place(path, node.lineno)} {node.name}: {length} lines"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, Function) and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{place(path, number)}: {line.strip()}"
        for path in FILES
        if path != Path(__file__)
        for number, line in enumerate(lines_of(path), 1)
        if UNFINISHED.search(line)
    ]
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is() -> None:
    silent = [place(path, 1) for path in FILES if lines_of(path) and not ast.get_docstring(tree_of(path))]
    assert not silent, silent


def test_every_public_class_and_function_says_what_it_is() -> None:
    silent = [
        f"{place(path, node.lineno)} {node.name}"
        for path in SOURCES
        for node in tree_of(path).body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def module_of(path: Path) -> ModuleType:
    return import_module(".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"))


def test_every_verb_of_the_library_says_what_it_does() -> None:
    """A verb that a protocol of `lamina.types` explains needs no second text: `help` shows the protocol's."""
    silent = [
        f"{place(path, method.lineno)} {owner.name}.{method.name}"
        for path in SOURCES
        if path.relative_to(SOURCE).parts[0] in LIBRARY
        for owner in tree_of(path).body
        if isinstance(owner, ast.ClassDef) and not owner.name.startswith("_")
        for method in owner.body
        if isinstance(method, Function) and not method.name.startswith("_") and not ast.get_docstring(method)
        if not inspect.getdoc(getattr(getattr(module_of(path), owner.name), method.name))
    ]
    assert not silent, "\n".join(silent)


def wide_handlers(path: Path) -> Iterator[int]:
    """Lines that catch whole families of errors and do not let them go on."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ExceptHandler):
            names = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else WIDE
            goes_on = any(isinstance(part, ast.Raise) for part in ast.walk(node))
            if names & {"Exception", "BaseException"} and not goes_on:
                yield node.lineno
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("suppress", "contextlib.suppress")
            and any(ast.unparse(argument) in WIDE for argument in node.args)
        ):
            yield node.lineno


def test_wide_catches_say_why() -> None:
    silent = [
        place(path, number)
        for path in SOURCES
        for number in wide_handlers(path)
        if "  # " not in lines_of(path)[number - 1] and not lines_of(path)[number - 2].strip().startswith("#")
    ]
    assert not silent, f"say in a comment why nothing narrower will do, and where the error goes: {silent}"


def test_tests_stand_in_folders_like_the_rooms() -> None:
    rooms = {room for room in [*ORDER, *EDGES] if (SOURCE / room).is_dir()}
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("**/*.py"))}
    assert folders == rooms | BESIDE_ROOMS


def test_every_error_kind_has_an_outcome() -> None:
    kinds = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.LaminaError)}
    assert kinds - {errors.LaminaError} == set(errors.OUTCOMES)
    assert all(300 <= found.http_status < 600 and 0 <= found.exit_code < 256 for found in errors.OUTCOMES.values())


def test_the_readme_fits_a_screenful_or_three() -> None:
    assert len(lines_of(ROOT / "README.md")) <= 150
