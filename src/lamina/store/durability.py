"""What a power cut may take: files are flushed in the background, and a start repairs what a crash left.

What is published survives the death of the process at once. To survive a power cut it must be flushed. A pass of the
syncer flushes every file that is not known to be flushed, marks the rows, and checkpoints the database, so no step of
a build waits for the disk. `recover` checks rows that a power cut finds unmarked against their digests at the next
start, so no half-written layer is ever served.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from lamina.errors import LaminaError
from lamina.formats.digest import Digest
from lamina.layers.layer_writer import ingest
from lamina.store.content import ContentTable, Row
from lamina.store.database import disk_errors
from lamina.store.layers import hash_file
from lamina.store.layout import PARTIAL_PREFIX

_log = logging.getLogger(__name__)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Syncer:
    """One background thread that runs a pass `delay` seconds after the first change since the last pass."""

    def __init__(self, content: ContentTable, delay: float, flush: Callable[[], None]) -> None:
        """`flush` is called before the rows are flushed, and flushes the files of other rooms."""
        self._content = content
        self._delay = delay
        self._flush_others = flush
        self._pass = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lamina-store-sync", daemon=True)
        self._thread.start()

    def sync(self) -> None:
        """Wait until all that was committed before the call survives a power cut. Raise NoSpace."""
        with self._pass, disk_errors():
            self._flush_others()
            with self._content.database.write() as connection:
                self._content.dropped.clear()
                query = "SELECT digest, kind FROM content WHERE synced = 0"
                rows = [(Digest.parse(digest), kind) for digest, kind in connection.execute(query)]
            directories: set[Path] = set()
            for digest, kind in rows:
                for path in self._content.layout.files(digest, kind):
                    if _flush(path):  # else it was dropped since the query
                        directories.add(path.parent)
            for directory in directories:
                _flush(directory)
            if rows:
                with self._content.database.write() as connection:
                    mark = "UPDATE content SET synced = 1 WHERE digest = ? AND kind = ?"
                    marked = {(str(digest), kind) for digest, kind in rows}
                    # What was dropped meanwhile may be here again, from other files than those that were flushed.
                    connection.executemany(mark, sorted(marked - self._content.dropped))
            self._content.database.checkpoint()

    def close(self) -> None:
        """Stop the thread after a last pass. May be called twice."""
        if not self._stop.is_set():
            self._stop.set()
            self._content.changed.set()
            self._thread.join()
            self._try()

    def _run(self) -> None:
        while not self._stop.is_set():  # a stop that comes during a pass would find nobody waiting
            self._content.changed.wait()
            if self._stop.wait(self._delay):
                return
            self._content.changed.clear()
            self._try()

    def _try(self) -> None:
        try:
            self.sync()
        except (LaminaError, OSError) as error:  # what stays unmarked is checked after a reboot
            _log.warning("flushing the store failed, the next change tries again: %s", error)


def _flush(path: Path) -> bool:
    """Flush a file or directory to the disk. Return False when it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return True


def boot_id() -> str:
    """Return a name for the present run of the kernel; while it is the same, nothing that was written is lost."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""  # unknown: counts as a new boot each time


def recover(content: ContentTable, boot: str) -> tuple[Digest, ...]:
    """Sweep leftovers, and drop content that is not what its row says. Return the digests that were lost.

    Rows are checked by presence of their files, and after a reboot, where they were not synced, by digest; a layer's
    index is made again from its tar then. Resumable partials stay.
    """
    _sweep_temporaries(content.layout.ingest)
    with content.database.read() as connection:
        rows = [
            (Row(*values[:4]), values[4])
            for values in connection.execute("SELECT digest, kind, size, extra, synced FROM content")
        ]
        last = connection.execute("SELECT value FROM setting WHERE name = 'boot'").fetchone()
    present = set(_files(content))
    expected = {path for row, _ in rows for path in content.layout.files(Digest.parse(row.digest), row.kind)}
    for leftover in present - expected:
        leftover.unlink()
    rebooted = not boot or last is None or last[0] != boot
    lost_rows = [row for row, synced in rows if not _intact(content, row, present, check=rebooted and not synced)]

    def change(connection: sqlite3.Connection, leased: set[str]) -> list[Row]:
        connection.execute("INSERT OR REPLACE INTO setting VALUES ('boot', ?)", (boot,))
        return lost_rows

    content.commit(change)
    return tuple(Digest.parse(row.digest) for row in lost_rows)


def _intact(content: ContentTable, row: Row, present: set[Path], *, check: bool) -> bool:
    digest = Digest.parse(row.digest)
    if not present.issuperset(content.layout.files(digest, row.kind)):
        return False
    if not check:
        return True
    if row.kind == "blob":
        return hash_file(content.layout.blob(digest), digest.algorithm) == digest
    return _remake(content, digest)


def _remake(content: ContentTable, diff_id: Digest) -> bool:
    """Read a layer in again from its own tar, which proves the tar and makes the index anew."""
    tar, index = content.layout.temporary(".tar"), content.layout.temporary(".erofs")
    try:
        with content.layout.tar(diff_id).open("rb") as stream:
            actual = ingest(stream, tar, index).diff_id
        if actual == diff_id:
            index.rename(content.layout.index(diff_id))
        return actual == diff_id
    except LaminaError:
        return False
    finally:
        tar.unlink(missing_ok=True)
        index.unlink(missing_ok=True)


def _files(content: ContentTable) -> Iterator[Path]:
    for directory in content.layout.content_directories():
        yield from directory.iterdir()


def _sweep_temporaries(directory: Path) -> None:
    for path in directory.iterdir():
        if not path.name.startswith(PARTIAL_PREFIX):
            path.unlink()
