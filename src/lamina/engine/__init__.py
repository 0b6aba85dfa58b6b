"""The rooms put together over one data root: `with Engine(root) as engine: image = engine.build(".")`."""

from lamina.engine.engine import Engine

__all__ = ["Engine"]
