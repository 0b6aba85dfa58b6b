"""How the stacking driver gets its layers as directories: groups of layers, and the interface of the two ways.

Overlayfs stacks five hundred directories at most, and images may have more layers, so the lowest ones become one group.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lamina.layers.layer import Layer

DEEPEST = 480
_STEP = 200


@dataclass(frozen=True, slots=True)
class Group:
    """What becomes one directory: a layer, or the lowest layers of a deep stack, the bottom one first."""

    layers: tuple[Layer, ...]

    @property
    def name(self) -> str:
        """Return a name for the directory: the same layers give the same one."""
        if len(self.layers) == 1:
            return self.layers[0].diff_id.encoded
        return _digest(tuple(layer.diff_id.encoded for layer in self.layers))


@functools.lru_cache(maxsize=64)
def _digest(names: tuple[str, ...]) -> str:
    return hashlib.sha256(" ".join(names).encode()).hexdigest()


def arrange(layers: Sequence[Layer]) -> tuple[Group, ...]:
    """Return `layers` (and the result) the bottom one first, as what overlayfs can stack.

    Of layers that are the same only the topmost is kept: overlayfs takes no directory twice, and does not need to, as
    whatever the lower one shows or hides, the upper one shows or hides again. Of a deep stack the lowest layers are one
    group, whose size grows in steps, so that a build that adds layer upon layer seldom makes a new one.
    """
    single = tuple(reversed(dict.fromkeys(reversed(layers))))
    excess = len(single) - DEEPEST
    joined = 0 if excess <= 0 else (excess // _STEP + 1) * _STEP
    groups = tuple(Group((layer,)) for layer in single[joined:])
    return (Group(single[:joined]), *groups) if joined else groups


class Lowers(Protocol):
    """Directories that hold the files of one group each, with overlayfs' marks. Thread-safe."""

    @property
    def name(self) -> str:
        """Return the name of the driver that uses it."""
        ...

    @property
    def separate(self) -> bool:
        """Return whether each group is a file system of its own."""
        ...

    def path(self, group: Group) -> Path:
        """Return where the files of `group` are, or will be."""
        ...

    def ensure(self, groups: Sequence[Group]) -> None:
        """Do what is worth doing before a mount is asked for. Raise Corrupt for damaged layers."""
        ...

    def acquire(self, user: str, groups: Sequence[Group]) -> tuple[Path, ...]:
        """Return the directories of `groups` in order, real until `release`. Raise Corrupt for damaged layers."""
        ...

    def release(self, user: str) -> None:
        """Release what `user` acquired."""
        ...

    def sweep(self, users: Iterable[tuple[str, Sequence[Group]]]) -> None:
        """Clean up after an earlier process: only `users` are left, and hold their groups that are still mounted."""
        ...

    def collect(self, used: Callable[[], set[str]]) -> int:
        """Drop what is kept of groups whose layers are gone and that are not `used`. Return the bytes freed.

        `used` gives the names of groups, and is asked only when there is something to drop.
        """
        ...

    def close(self) -> None:
        """Drop what nobody holds."""
        ...
