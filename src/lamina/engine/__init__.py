"""The rooms put together over one data root: `with Engine(root) as engine: image = engine.builds.build(".")`."""

from lamina.engine.engine import Engine

__all__ = ["Engine"]
