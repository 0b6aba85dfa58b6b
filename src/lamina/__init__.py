"""lamina: a container image engine that Python programs can import."""

__version__ = "0.1.0"
