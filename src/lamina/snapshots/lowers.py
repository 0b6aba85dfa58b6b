"""How the stacking driver gets its layers as directories: the interface, and what the two ways have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from lamina.snapshots.groups import Group


class Lowers(Protocol):
    """Directories that hold the files of one group each, with overlayfs' marks. Thread-safe."""

    @property
    def name(self) -> str:
        """The name of the driver that uses it."""
        ...

    @property
    def separate(self) -> bool:
        """Whether each group is a file system of its own."""
        ...

    def path(self, group: Group) -> Path:
        """Where the files of `group` are, or will be."""
        ...

    def ensure(self, groups: Sequence[Group]) -> None:
        """Does what is worth doing before a mount is asked for. Raises Corrupt for damaged layers."""
        ...

    def acquire(self, user: str, groups: Sequence[Group]) -> tuple[Path, ...]:
        """The directories of `groups`, in their order, real until `release`. Raises Corrupt for damaged layers."""
        ...

    def release(self, user: str) -> None:
        """`user` no longer needs what it acquired."""
        ...

    def sweep(self, users: Iterable[tuple[str, Sequence[Group]]]) -> None:
        """Puts things in order at a start: only `users` are there, and hold what is still real of their groups."""
        ...

    def collect(self, used: Callable[[], set[str]]) -> int:
        """Drops what is kept of groups whose layers are gone and that are not `used`; gives the bytes freed.

        `used` gives the names of groups, and is asked only when there is something to drop.
        """
        ...

    def close(self) -> None:
        """Drops what nobody holds."""
        ...
