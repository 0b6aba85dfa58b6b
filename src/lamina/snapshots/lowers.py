"""How the stacking driver gets its layers as directories: the interface, and what the two ways have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from lamina.formats.digest import Digest
from lamina.layers.layer import Layer


class Lowers(Protocol):
    """Directories that hold the files of one layer each, with overlayfs' marks. Thread-safe."""

    @property
    def name(self) -> str:
        """The name of the driver that uses it."""
        ...

    @property
    def separate(self) -> bool:
        """Whether each layer is a file system of its own."""
        ...

    def path(self, layer: Layer) -> Path:
        """Where the layer is, or will be."""
        ...

    def ensure(self, layers: Sequence[Layer]) -> None:
        """Does what is worth doing before a mount is asked for. Raises Corrupt for damaged layers."""
        ...

    def acquire(self, user: str, layers: Sequence[Layer]) -> tuple[Path, ...]:
        """The directories of `layers`, in their order, real until `release`. Raises Corrupt for damaged layers."""
        ...

    def release(self, user: str) -> None:
        """`user` no longer needs what it acquired."""
        ...

    def sweep(self, users: Iterable[tuple[str, Sequence[Layer]]]) -> None:
        """Puts things in order at a start: only `users` are there, and hold what is still real of their layers."""
        ...

    def collect(self, used: set[Digest]) -> int:
        """Drops layers whose files are gone and that are not `used`; gives the bytes freed."""
        ...

    def close(self) -> None:
        """Drops what nobody holds."""
        ...


def without_repeats(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """`layers` with only the topmost of those that are the same.

    Overlayfs takes no directory twice, and does not need to: whatever the lower one shows or hides, the upper one
    shows or hides again.
    """
    return tuple(reversed(dict.fromkeys(reversed(layers))))
