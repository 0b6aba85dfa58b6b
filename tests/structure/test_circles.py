"""No two files need each other, not even for their types: each can be read after the ones it stands on."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2] / "src"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
    if path.parent.name != "lamina"  # the package itself names its parts only when they are asked for
}


def imported_by(path: Path) -> set[str]:
    """The modules of ours that a file imports anywhere, whole or in part."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(part if part in MODULES else node.module for part in parts)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found & MODULES.keys()


def test_imports_have_no_circles() -> None:
    TopologicalSorter({name: imported_by(path) for name, path in MODULES.items()}).prepare()
