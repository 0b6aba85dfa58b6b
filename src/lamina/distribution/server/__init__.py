"""The registry server. `serve(config)` runs it; `load(path)` reads a configuration file."""

from lamina.distribution.server.config import Config, load
from lamina.distribution.server.serve import serve

__all__ = ["Config", "load", "serve"]
