"""Which layers are stacked, and which are made into one first: overlayfs takes five hundred, images may have more."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from lamina.layers.layer import Layer

DEEPEST = 480
_STEP = 200


@dataclass(frozen=True, slots=True)
class Group:
    """What becomes one directory: a layer, or the lowest layers of a deep stack, the bottom one first."""

    layers: tuple[Layer, ...]

    @property
    def name(self) -> str:
        """A name for the directory: the same layers give the same one."""
        if len(self.layers) == 1:
            return self.layers[0].diff_id.encoded
        return _digest(tuple(layer.diff_id.encoded for layer in self.layers))


@functools.lru_cache(maxsize=64)
def _digest(names: tuple[str, ...]) -> str:
    return hashlib.sha256(" ".join(names).encode()).hexdigest()


def arrange(layers: Sequence[Layer]) -> tuple[Group, ...]:
    """`layers` (and the result) the bottom one first, as what overlayfs can stack.

    Of layers that are the same only the topmost is kept: overlayfs takes no directory twice, and does not need to, as
    whatever the lower one shows or hides, the upper one shows or hides again. Of a deep stack the lowest layers are
    one group, whose size grows in steps, so that a build that adds layer upon layer seldom makes a new one.
    """
    single = tuple(reversed(dict.fromkeys(reversed(layers))))
    excess = len(single) - DEEPEST
    joined = 0 if excess <= 0 else (excess // _STEP + 1) * _STEP
    groups = tuple(Group((layer,)) for layer in single[joined:])
    return (Group(single[:joined]), *groups) if joined else groups
