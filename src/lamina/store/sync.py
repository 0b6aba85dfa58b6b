"""Bytes reach the disk in the background, so that no step of a build waits for it.

What is published survives the death of the process at once. To survive a power cut it must be flushed; a pass here
flushes every file that is not known to be, marks the rows, and checkpoints the database. Rows that a power cut finds
unmarked are checked against their digests at the next start (`recovery`): no half-written layer is ever served.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from lamina.errors import LaminaError
from lamina.formats.digest import Digest
from lamina.store.content import ContentTable
from lamina.store.failures import disk_errors

_log = logging.getLogger(__name__)


class Syncer:
    """One background thread that runs a pass `delay` seconds after the first change since the last pass."""

    def __init__(self, content: ContentTable, delay: float, flush: Callable[[], None]) -> None:
        """`flush` puts on the disk what else must be there before the rows are."""
        self._content = content
        self._delay = delay
        self._flush_others = flush
        self._pass = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lamina-store-sync", daemon=True)
        self._thread.start()

    def sync(self) -> None:
        """Return when all that was committed before the call survives a power cut. Raises NoSpace."""
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
        """Stop the thread after a last pass; second call is fine."""
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
    """fsync a file or directory; False when it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return True
