"""What earlier looks at layers of registries have left here: an index of each, and contents as long as there is room.

Below one folder, each layer has up to four files: `KEY.erofs` is the index, `KEY.json` says what is known of it,
`KEY.list` is the list of files that the layer brought along, `KEY.tar` the layer itself. The index comes last, by a
rename: without it there is nothing. All of it may go at any time: it is fetched again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from lamina.cancellation import Cancellation
from lamina.keylocks import KeyLocks

INDEX_BYTES = 1 << 30  # of all indexes and lists
CONTENT_BYTES = 4 << 30  # of all layers
_PARTIAL = "partial-"


class KeptLayer(msgspec.Struct, frozen=True):
    """What is known of a layer. `verified` tells that the whole layer was seen, and had its digest and diff-id."""

    file_bytes: int
    tar_size: int
    verified: bool


class KeptLayers:
    """The folder of kept layers. Thread-safe; one process at a time."""

    def __init__(self, root: Path, *, index_bytes: int = INDEX_BYTES, content_bytes: int = CONTENT_BYTES) -> None:
        self._root = root
        self._limits = {".erofs": index_bytes, ".tar": content_bytes}
        self._locks: KeyLocks[str] = KeyLocks()
        self._using: dict[str, int] = {}
        self._lock = threading.Lock()
        for leftover in root.glob(f"{_PARTIAL}*/*"):  # of a crash
            leftover.unlink(missing_ok=True)
        for folder in root.glob(f"{_PARTIAL}*"):
            folder.rmdir()

    @contextlib.contextmanager
    def use(self, key: str, cancellation: Cancellation) -> Iterator[KeptPlace]:
        """Hold the place of a layer for the block: nothing of it goes meanwhile."""
        with self._lock:
            self._using[key] = self._using.get(key, 0) + 1
        try:
            with self._locks.hold(key, cancellation):
                place = KeptPlace(self._root, key)
            yield place
        finally:
            with self._lock:
                self._using[key] -= 1
                if not self._using[key]:
                    del self._using[key]

    def fill(self, key: str, cancellation: Cancellation, fetch: Callable[[Path], KeptLayer]) -> None:
        """Have `fetch` write `index`, and `list` or `tar`, into a folder, and keep them. One fetch at a time."""
        with self._locks.hold(key, cancellation):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=_PARTIAL, dir=self._root) as folder:
                layer = fetch(Path(folder))
                place = KeptPlace(self._root, key)
                (Path(folder) / "json").write_bytes(msgspec.json.encode(layer))
                for name in ("json", "list", "tar", "erofs"):
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(Path(folder) / name, place.path(name))
        self._collect()

    def sizes(self) -> dict[str, int]:
        """Return the bytes of the files of each kept layer, by its key."""
        sizes: dict[str, int] = {}
        for path in self._root.glob("*.*"):
            with contextlib.suppress(FileNotFoundError):  # it may go meanwhile
                sizes[path.stem] = sizes.get(path.stem, 0) + path.stat().st_size
        return sizes

    def _collect(self) -> None:
        """Drop the layers that were not used for longest, until the others fit."""
        for suffix, limit in self._limits.items():
            files = sorted(self._root.glob(f"*{suffix}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
            total = 0
            for path in files:
                total += path.stat().st_size
                if total > limit:
                    self._drop(path, whole=suffix == ".erofs")

    def _drop(self, path: Path, *, whole: bool) -> None:
        with self._lock:
            if path.stem in self._using:
                return
            path.unlink(missing_ok=True)
            for suffix in (".json", ".list", ".tar") if whole else ():
                path.with_suffix(suffix).unlink(missing_ok=True)


class KeptPlace:
    """Where one layer is kept."""

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        self._key = key

    def path(self, name: str) -> Path:
        """Return the path of one of its files: erofs, json, list or tar."""
        return self._root / f"{self._key}.{name}"

    def layer(self) -> KeptLayer | None:
        """Return what is known of the layer; None where nothing is kept. This counts as a use."""
        try:
            os.utime(self.path("erofs"))
            return msgspec.json.decode(self.path("json").read_bytes(), type=KeptLayer)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
