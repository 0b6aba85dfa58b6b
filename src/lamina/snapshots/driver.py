"""What a snapshot is and what a driver does: the interface that every driver keeps (tests/snapshots holds them to it).

A snapshot is the tree that a stack of layers amounts to, under a key that the caller chooses. A writable one also
takes changes, which outlive the process and the machine. Making one mounts nothing; `mount` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lamina.layers.diff import Change
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.layers.union import UnionTree
from lamina.linux.user_namespaces import UserNamespace


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount as data: what mount(8) would be told. `options` are in mount(8)'s form."""

    type: str
    source: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphDirectories:
    """Where a snapshot is on disk, as Docker's GraphDriver.Data names it. All are real while it is mounted."""

    lower: tuple[Path, ...]
    """The layers, the top one first."""
    upper: Path | None
    work: Path | None
    merged: Path


class Snapshot(Protocol):
    """One snapshot. Safe to use from several threads; two values for the same key are the same snapshot."""

    @property
    def key(self) -> str:
        """Return the caller's name for it."""
        ...

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return what it stands on, the bottom one first."""
        ...

    @property
    def writable(self) -> bool:
        """Return whether it takes changes."""
        ...

    @property
    def directories(self) -> GraphDirectories:
        """Return where it is on disk."""
        ...

    def mount(self, userns: UserNamespace | None = None) -> Path:
        """Make the tree appear and return its root. Each call is to be matched by one `unmount`.

        Its files belong to the users of `userns`; on disk they keep their own. While it is mounted, another `userns`
        changes nothing. Raise Corrupt for damaged layers, Unsupported for what this kernel cannot stack or map,
        NotFound when it was removed.
        """
        ...

    def unmount(self) -> None:
        """Undo one `mount`; the last call makes the tree disappear. Further calls are ignored."""
        ...

    def mounts(self) -> tuple[Mount, ...]:
        """Return what `mount` mounts, as data, for people and for other programs; empty when nothing needs mounting."""
        ...

    def changes(self) -> Iterator[Change]:
        """Return what differs from the layers, sorted by path: the answer to `docker diff`."""
        ...

    def write_diff(self, builder: LayerBuilder, *, latest_ns: int | None = None) -> None:
        """Add what differs from the layers to `builder`, in a fixed order, deletions as whiteouts.

        Times later than `latest_ns` (nanoseconds since 1970) become it.
        """
        ...

    def tree(self) -> UnionTree:
        """Return the merged tree, to be read without mounting it. Changes made meanwhile may or may not show."""
        ...

    def usage(self) -> int:
        """Return bytes of the files that differ from the layers."""
        ...


class Driver(Protocol):
    """Keeps the snapshots of one data root. Safe to use from several threads; one process at a time."""

    @property
    def name(self) -> str:
        """Return the driver's name: erofs, overlay or copy."""
        ...

    @property
    def reason(self) -> str:
        """Return a sentence that says why this driver is in use."""
        ...

    def prepare(self, key: str, layers: Sequence[Layer], *, writable: bool = True, durable: bool = True) -> Snapshot:
        """Return a new snapshot over `layers`, the bottom one first. A crash leaves it whole or not there, a power cut
        before the next `sync` may leave it damaged.

        Without `durable` its changes need not outlive a power cut, and nothing that runs in it waits for the disk:
        right for build steps, and for containers that are removed when they end.

        Raise Conflict when the key is taken, InvalidInput for a key that is no plain name, Corrupt for damaged layers.
        """
        ...

    def get(self, key: str) -> Snapshot:
        """Return the snapshot called `key`, also one that an earlier process made. Raise NotFound."""
        ...

    def remove(self, key: str) -> None:
        """Unmount the snapshot, however often it was mounted, and delete it. A missing snapshot is ignored."""
        ...

    def keys(self) -> list[str]:
        """Return the keys of all snapshots, sorted."""
        ...

    def sweep(self, live_keys: Iterable[str], running: Iterable[str] | None = None) -> None:
        """Clean up after an earlier process. Call this once, before anything else.

        Remove snapshots whose key is not in `live_keys`, half-made ones, and mounts that nobody needs. Snapshots in
        `running` (None: all of them) that are mounted stay so, and count as mounted once. Make anew what a power cut
        may have left half-written.
        """
        ...

    def sync(self) -> None:
        """Wait until the durable snapshots that were made so far survive a power cut."""
        ...

    def collect(self) -> int:
        """Drop what is kept of layers whose files are gone and that no snapshot uses. Return the bytes freed."""
        ...

    def close(self) -> None:
        """Unmount what no snapshot uses. Mounted snapshots stay mounted. A second call does nothing."""
        ...
