"""RUN: a command in a container of its own, and the layer of what it changed."""
