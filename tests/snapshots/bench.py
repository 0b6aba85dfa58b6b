"""A bench for drivers: a place for layers made by hand, and the driver under test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer import Layer
from lamina.layers.layer_writer import LayerBuilder
from lamina.snapshots.choose import open_driver
from lamina.snapshots.driver import Driver, Snapshot

Steps = Callable[[LayerBuilder], None]


class Bench:
    """One data root with a driver in it; `reopen` is what a new process would see."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.name = name
        self.store = root / "store"
        self.store.mkdir(parents=True)
        self.home = root / "snapshots"
        self.driver: Driver = open_driver(self.home, name)
        self._made = 0

    def layer(self, steps: Steps) -> Layer:
        """A layer made by `steps`."""
        self._made += 1
        tar, index = self.store / f"{self._made}.tar", self.store / f"{self._made}.erofs"
        with LayerBuilder(tar, index) as builder:
            steps(builder)
            made = builder.finish()
        return Layer(made.diff_id, made.size, tar, index)

    def files(self, **contents: bytes) -> Layer:
        """A layer of regular files; "__" in a name stands for "/" """

        def steps(builder: LayerBuilder) -> None:
            for name, data in contents.items():
                builder.add(Entry(name.replace("__", "/"), EntryType.REGULAR, size=len(data)), data)

        return self.layer(steps)

    def capture(self, snapshot: Snapshot) -> Layer:
        """The changes of `snapshot` as a layer."""
        return self.layer(snapshot.write_diff)

    def reopen(self) -> Driver:
        """The driver as the next process sees it."""
        self.driver = open_driver(self.home, self.name)
        return self.driver

    def clear(self) -> None:
        """Removes every snapshot and lets go of every mount."""
        self.driver.sweep([])
        self.driver.close()
