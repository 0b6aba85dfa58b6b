"""Objects get what they need when they are made: no function is put on another object's attribute later."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "lamina"
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
MODULES = sorted(SOURCE.rglob("*.py"))


def functions_of(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the names of methods, and those of other functions."""
    methods = {
        item.name
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef)
        for item in owner.body
        if isinstance(item, FUNCTION) and not item.decorator_list
    }
    return methods, {node.name for node in ast.walk(tree) if isinstance(node, FUNCTION)} - methods


def wirings(tree: ast.Module) -> Iterator[str]:
    """Find assignments of a lambda, a method of one's own or a function to an attribute of another object."""
    methods, functions = functions_of(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if not isinstance(target, ast.Attribute) or ast.unparse(target.value) in ("self", "cls"):
                continue
            value = node.value
            if value is None:
                continue
            own = isinstance(value, ast.Attribute) and ast.unparse(value.value) == "self" and value.attr in methods
            if own or isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and value.id in functions):
                yield f"line {target.lineno}: {ast.unparse(target)} = {ast.unparse(value)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_function_is_put_on_another_object(path: Path) -> None:
    assert list(wirings(ast.parse(path.read_text()))) == []


def test_each_kind_of_wiring_is_seen() -> None:
    code = """
class Room:
    def __init__(self, other):
        other.users = self.find
        other.on_end = lambda: None
        self.mine = self.find
        other.size = self.size

    def find(self): ...

def wire(room):
    def close(): ...
    room.inner.close = close
"""
    lines = sorted(wiring.split(":")[0] for wiring in wirings(ast.parse(code)))
    assert lines == ["line 13", "line 4", "line 5"]
