"""Layers unpacked, each into a directory of its own: for kernels that cannot mount them in place."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lamina.errors import Corrupt
from lamina.keylocks import KeyLocks
from lamina.layers.unpack import Style, unpack
from lamina.linux.files import usual_directory
from lamina.snapshots.lowers import Group
from lamina.snapshots.records import NEW, delete_tree, discard, flush_all, sweep_directory

_FILES = "diff"
_SOURCE = "tar"
_BOOT = "boot"
_PARALLEL = 4


class UnpackedLayers:
    """Lowers by directories below `root`, each unpacked once, when a snapshot first stands on it.

    They are a cache of the tars. Nothing waits for the disk: a layer that was unpacked before a power cut, and never
    synced since, is unpacked anew.
    """

    name = "overlay"
    separate = False

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._locks: KeyLocks[str] = KeyLocks()
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def path(self, group: Group) -> Path:
        return self._root / group.name / _FILES

    def ensure(self, groups: Sequence[Group]) -> None:
        missing = [group for group in dict.fromkeys(groups) if not self.path(group).exists()]
        if len(missing) == 1:
            self._unpack(missing[0])
        elif missing:
            with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="unpack") as pool:
                for done in [pool.submit(self._unpack, group) for group in missing]:
                    done.result()

    def _unpack(self, group: Group) -> None:
        final = self.path(group).parent
        with self._locks.hold(group.name):
            if final.exists():
                return
            draft = Path(tempfile.mkdtemp(prefix=NEW, dir=self._root))
            try:
                self._fill(draft, group)
                draft.rename(final)
            except FileNotFoundError as error:
                delete_tree(draft)
                raise Corrupt(f"the files of layer {group.layers[-1].diff_id} are missing", name=group.name) from error
            except BaseException:
                delete_tree(draft)
                raise

    def _fill(self, draft: Path, group: Group) -> None:
        files = draft / _FILES
        usual_directory(files)
        root = os.open(files, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for layer in group.layers:
                unpack(layer.tar, root, Style.OVERLAY if len(group.layers) == 1 else Style.APPLY)
        finally:
            os.close(root)
        (draft / _SOURCE).write_text(os.path.relpath(group.layers[-1].tar, self._root))
        (draft / _BOOT).write_text(self._boot)

    def acquire(self, user: str, groups: Sequence[Group]) -> tuple[Path, ...]:
        self.ensure(groups)
        return tuple(map(self.path, groups))

    def release(self, user: str) -> None:
        pass  # directories stay

    def sweep(self, users: Iterable[tuple[str, Sequence[Group]]]) -> None:
        # What this boot has unpacked is synced, so that it lives through the next one.
        sweep_directory(self._root)
        fresh: list[Path] = []
        for entry in list(self._root.iterdir()):
            boot = entry / _BOOT
            if boot.exists() and boot.read_text() == self._boot:
                fresh.append(boot)
            elif boot.exists():
                discard(entry)
        if fresh:
            flush_all(self._root)
            for boot in fresh:
                boot.unlink()

    def collect(self, used: Callable[[], set[str]]) -> int:
        entries = [entry for entry in self._root.iterdir() if not entry.name.startswith(".")]
        lost_entries = [entry for entry in entries if self._is_lost(entry)]
        names = used() if lost_entries else set()
        freed = 0
        for entry in lost_entries:
            with self._locks.hold(entry.name), contextlib.suppress(FileNotFoundError):
                if entry.name not in names and self._is_lost(entry):
                    size = tree_bytes(entry / _FILES)
                    discard(entry)
                    freed += size
        return freed

    def _is_lost(self, entry: Path) -> bool:
        """Return whether the layer is gone of which `entry` has the files."""
        try:
            return not (self._root / (entry / _SOURCE).read_text()).exists()
        except FileNotFoundError:
            return False

    def close(self) -> None:
        pass  # nothing is held


def tree_bytes(root: Path | str) -> int:
    """Return bytes of the files below `root`, each counted once, as `docker ps --size` counts; what vanishes is left
    out."""
    counted: set[tuple[int, int]] = set()
    total = 0
    todo = [os.fspath(root)]
    while todo:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                    continue
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if (status.st_dev, status.st_ino) not in counted:
                        counted.add((status.st_dev, status.st_ino))
                        total += status.st_size
    return total
