"""What a graph needs from outside: the images, files, secrets and permissions of whoever builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from lamina.builder.build_run import SshAgents
from lamina.builder.file_sums import Sums
from lamina.formats.platform import Platform
from lamina.images.image import Image
from lamina.layers.tar.source import Readable
from lamina.layers.tree import Tree
from lamina.progress import Report


@dataclass(frozen=True, slots=True)
class ForeignFiles:
    """Files from outside. `close` gives back what the tree holds."""

    tree: Tree
    sums: Sums
    close: Callable[[], None]


class Outside(Protocol):
    """What the client of one build offers. Thread-safe."""

    @property
    def secrets(self) -> Mapping[str, bytes]:
        """Return the secrets by ID."""
        ...

    @property
    def agents(self) -> SshAgents | None:
        """Return the client's ssh agents, None where it has none."""
        ...

    def allows(self, entitlement: str) -> bool:
        """Return whether the client may have `security.insecure`, `network.host`, …"""
        ...

    def image(self, name: str, platform: Platform | None, mode: str, report: Report) -> Image:
        """Return the image of that name. `mode` is default, pull or local.

        Raise NotFound, Unauthorized, Unavailable, Cancelled.
        """
        ...

    def folder_files(self, name: str, attributes: Mapping[str, str], report: Report) -> ForeignFiles:
        """Return the files of a folder that the client offers, as far as the attributes of its source select them.

        Raise NotFound, InvalidInput, Unavailable, Cancelled.
        """
        ...

    def upload(self, path: str) -> AbstractContextManager[Readable]:
        """Provide the bytes that the client sends under a path. Raise Unsupported, Unavailable, Cancelled."""
        ...

    def layout(self, name: str, platform: Platform | None, attributes: Mapping[str, str]) -> Image:
        """Return an image of a layout that the client offers. Raise NotFound, InvalidInput, Unavailable, Cancelled."""
        ...
