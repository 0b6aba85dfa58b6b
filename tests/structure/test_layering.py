"""Imports point one way: a room may import only itself and the rooms listed for it here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "lamina"

# From the ground up: a room may import every room above its own line.
ORDER = [
    "light",
    "errors",
    "events",
    "progress",
    "cancellation",
    "keylocks",
    "lru",
    "formats",
    "credentials",
    "dockerfile",
    "api",
    "types",
    "linux",
    "layers",
    "store",
    "snapshots",
    "runtime",
    "network",
    "volumes",
    "distribution",
    "images",
    "explorer",
    "sandbox",
    "builder",
    "containers",
    "engine",
    "dashboard",
    "daemon",
]

# The edges: they know only the words, the system calls and each other, never the engine's rooms.
EDGES = {
    "registry": {
        "errors",
        "progress",
        "formats",
        "keylocks",
        "lru",
        "credentials",
        "dockerfile",
        "linux",
        "distribution",
    },
    "client": {
        "light",
        "errors",
        "progress",
        "formats",
        "dockerfile",
        "api",
        "linux",
        "cancellation",
        "credentials",
        "types",
    },
    "cli": {"light", "errors", "progress", "formats", "credentials", "dockerfile", "api", "types", "linux", "client"},
}

# Narrower than the order: what these must not know although it lies below them.
FORBIDDEN = {
    "network": {"layers", "snapshots", "runtime", "dockerfile"},
    "volumes": {"layers", "snapshots", "runtime", "network", "dockerfile"},
    "runtime": {"store", "snapshots", "dockerfile"},
    "snapshots": {"store", "dockerfile"},
    "sandbox": {"dockerfile", "distribution"},
    "containers": {"builder", "dockerfile"},
    "dashboard": set(ORDER[ORDER.index("dockerfile") : ORDER.index("dashboard")]),  # the public API is all it uses
}

# What the command line does without a daemon: the places where an edge loads what it otherwise reaches over HTTP.
ENTRIES = {
    ("cli/commands/daemon.py", "daemon"),
    ("cli/commands/dashboard.py", "dashboard"),
    ("cli/commands/manifest.py", "distribution"),
    ("cli/commands/registry.py", "distribution"),
    ("cli/commands/registry.py", "registry"),
    ("cli/explorer/targets.py", "explorer"),  # archives are looked into without a daemon
    ("cli/copying.py", "layers"),  # what containers send is as hostile as what images hold
    ("client/builds.py", "layers"),  # and so is what a build's outputs hold
}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative import; write the whole name"
            names = [f"lamina.{name}" for name in names] if node.module == "lamina" else [node.module or ""]
        for name in names:
            parts = name.split(".")
            if parts[0] == "lamina" and len(parts) > 1:
                yield node.lineno, parts[1]


def allowed_rooms(room: str) -> set[str]:
    if room in EDGES:
        return EDGES[room] | {room, "__version__"}
    return (set(ORDER[: ORDER.index(room) + 1]) | {"__version__"}) - FORBIDDEN.get(room, set())


MODULES = sorted(
    path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem not in ("__init__", "__main__")
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    room = room_of(path)
    assert room in ORDER or room in EDGES, f"{room} is not on the map: give it a line in docs/architecture.md and here"
    allowed = allowed_rooms(room)
    wrong = [
        f"{path.relative_to(SOURCE)}:{line}: {room} must not know of {other}"
        for line, other in imported_rooms(path)
        if other not in allowed and (str(path.relative_to(SOURCE)), other) not in ENTRIES
    ]
    assert not wrong, "\n".join(wrong)
