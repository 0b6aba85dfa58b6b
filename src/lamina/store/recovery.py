"""What a start finds after a crash, and puts right before anyone looks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from lamina.errors import LaminaError
from lamina.formats.digest import Digest
from lamina.layers.layer_writer import ingest
from lamina.store.content import ContentTable, Row
from lamina.store.layers import hash_file
from lamina.store.layout import PARTIAL_PREFIX

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Names the present run of the kernel: while it is the same, whatever was written is still in its cache."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""  # unknown: counts as a new boot each time


def recover(content: ContentTable, boot: str) -> tuple[Digest, ...]:
    """Sweep leftovers, and drop content that is not what its row says; gives the digests that were lost.

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
    known = {path for row, _ in rows for path in content.layout.files(Digest.parse(row.digest), row.kind)}
    for leftover in present - known:
        leftover.unlink()
    rebooted = not boot or last is None or last[0] != boot
    lost = [row for row, synced in rows if not _intact(content, row, present, check=rebooted and not synced)]

    def change(connection: sqlite3.Connection, leased: set[str]) -> list[Row]:
        connection.execute("INSERT OR REPLACE INTO setting VALUES ('boot', ?)", (boot,))
        return lost

    content.commit(change)
    return tuple(Digest.parse(row.digest) for row in lost)


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
    """Read a layer in again from its own tar: proves the tar and makes the index anew."""
    tar, index = content.layout.temporary(".tar"), content.layout.temporary(".erofs")
    try:
        with content.layout.tar(diff_id).open("rb") as stream:
            found = ingest(stream, tar, index).diff_id
        if found == diff_id:
            index.rename(content.layout.index(diff_id))
        return found == diff_id
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
