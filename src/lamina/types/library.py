"""What an engine and a client are to a program."""

from __future__ import annotations

from typing import Any, Protocol

from lamina.types.containers import Containers
from lamina.types.images import Builds, Images, Registries
from lamina.types.resources import Networks, Volumes


class Library(Protocol):
    """What an engine and a client are to a program."""

    @property
    def images(self) -> Images: ...
    @property
    def containers(self) -> Containers: ...
    @property
    def networks(self) -> Networks: ...
    @property
    def volumes(self) -> Volumes: ...
    @property
    def builds(self) -> Builds: ...
    @property
    def registries(self) -> Registries: ...

    def version(self) -> Any:
        """Return the engine's version."""

    def close(self) -> None:
        """Let go of everything. May be called twice."""
