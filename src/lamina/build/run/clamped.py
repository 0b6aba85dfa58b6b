"""SOURCE_DATE_EPOCH for files that RUN made: no time in the layer is later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lamina.layers.builder import LayerBuilder
from lamina.layers.entry import Entry
from lamina.layers.tar.source import Readable


class ClampedBuilder(LayerBuilder):
    """A LayerBuilder that brings every later time down to `latest_ns`."""

    def __init__(self, tar_path: Path, index_path: Path, latest_ns: int) -> None:
        super().__init__(tar_path, index_path)
        self._latest = latest_ns

    def add(self, entry: Entry, data: Readable | bytes | None = None) -> None:
        late = entry.mtime_ns > self._latest
        super().add(replace(entry, mtime_ns=self._latest) if late else entry, data)
