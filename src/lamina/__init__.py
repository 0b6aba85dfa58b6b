"""lamina: a container image engine that Python programs can import.

`lamina.connect()` gives a client of a running daemon, `lamina.Engine(root)` the engine itself, without one. Both are
imported when they are first asked for, so that a program pays for what it uses.
"""

from __future__ import annotations

from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from lamina.client import Client, connect
    from lamina.engine import Engine

__version__ = "0.1.0"
__all__ = ["Client", "Engine", "__version__", "connect"]

_HOMES = {"Client": "lamina.client", "connect": "lamina.client", "Engine": "lamina.engine"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'lamina' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
