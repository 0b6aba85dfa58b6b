"""The records on disk: one file for each build, written whole, bounded in number and bytes."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from lamina.api.build_history import BuildRecord, check_ref
from lamina.builder.attestations.facts import without_credentials
from lamina.errors import InvalidInput, NotFound
from lamina.linux.files import private_directory

_MOST_RECORDS = 200
_MOST_BYTES = 64 << 20  # of all records together
LARGEST = 4 << 20  # bytes of one record
_MOST_LOG = 256 << 10  # characters of a step's log, and of a classic build's
_MOST_STEPS = 1000
_SHORT = 300  # characters of each text where all together are too much
_LATEST = 2**63 - 1  # nanoseconds since 1970
_NEW = ".new-"


class BuildHistory:
    """The records below one folder. Thread-safe.

    A record is there whole or not at all. After `kill -9` the last ones may lack those builds that were under way.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = threading.Lock()

    def sweep(self) -> None:
        """Delete what was half written when a process died. For the start."""
        for path in self._folder.glob(f"{_NEW}*"):
            path.unlink(missing_ok=True)

    def write(self, record: BuildRecord) -> None:
        """Keep a record in place of the one with its ref. Forget the oldest above the bounds, but for pinned ones."""
        raw = _bounded(record).encode()
        private_directory(self._folder)
        temporary = self._folder / f"{_NEW}{check_ref(record.ref)}"
        with self._guard:
            temporary.write_bytes(raw)
            started = min(max(record.started, 0), _LATEST)
            os.utime(temporary, ns=(started, started))
            temporary.replace(self._path(record.ref))
            self._bound()

    def take(self, raw: bytes) -> BuildRecord:
        """Keep a record that `encode` made elsewhere. Raise InvalidInput for what is none, or is too large."""
        if len(raw) > LARGEST:
            raise InvalidInput(f"the record of a build has more than {LARGEST} bytes")
        record = BuildRecord.decode(raw)
        self.write(record)
        return record

    def get(self, ref: str) -> BuildRecord:
        """Return a record. Raise NotFound."""
        try:
            return BuildRecord.decode(self._path(ref).read_bytes())
        except (FileNotFoundError, InvalidInput):
            raise NotFound(f"no such build {ref}", advice="See `lamina builder history ls`.") from None

    def all(self) -> list[BuildRecord]:
        """Return all records that can be read, the latest first."""
        records: list[BuildRecord] = []
        for path in self._files():
            with suppress(FileNotFoundError, InvalidInput):
                records.append(BuildRecord.decode(path.read_bytes()))
        return records

    def remove(self, ref: str) -> None:
        """Forget a build. Raise NotFound."""
        with self._guard:
            try:
                self._path(ref).unlink()
            except FileNotFoundError:
                raise NotFound(f"no such build {ref}", advice="See `lamina builder history ls`.") from None

    def _path(self, ref: str) -> Path:
        return self._folder / f"{check_ref(ref)}.json"

    def _files(self) -> list[Path]:
        """Return the files, that of the latest build first."""
        times: dict[Path, int] = {}
        for path in self._folder.glob("*.json"):
            with suppress(FileNotFoundError):
                times[path] = path.stat().st_mtime_ns
        return sorted(times, key=lambda path: times[path], reverse=True)

    def _bound(self) -> None:
        total = 0
        for number, path in enumerate(self._files()):
            total += path.stat().st_size
            if (number >= _MOST_RECORDS or total > _MOST_BYTES) and not _is_pinned(path):
                total -= path.stat().st_size
                path.unlink()


def _is_pinned(path: Path) -> bool:
    try:
        return BuildRecord.decode(path.read_bytes()).pinned
    except InvalidInput:
        return False


def _bounded(record: BuildRecord) -> BuildRecord:
    """Return a record that fits: its first steps, the ends of their logs, and none of them where that is too much.

    Records are shown and handed on, so they hold no name and password of an address.
    """
    vertices = tuple(replace(each, log=_end_of(each.log)) for each in record.vertices[:_MOST_STEPS])
    fitting = replace(
        record,
        options={name: without_credentials(value) for name, value in record.options.items()},
        vertices=vertices,
        steps=record.steps[:_MOST_STEPS],
        log=_end_of(record.log),
    )
    if len(fitting.encode()) > LARGEST:
        bare = tuple(replace(each, name=each.name[:_SHORT], log="", error=each.error[:_SHORT]) for each in vertices)
        error, log = record.error[:_SHORT], fitting.log[-_SHORT:]
        fitting = replace(fitting, vertices=bare, steps=(), options={}, response={}, error=error, log=log, failure=b"")
    return fitting


def _end_of(log: str) -> str:
    """Return the end of a log, without the NULs that no request may bring back."""
    return log[-_MOST_LOG:].replace("\0", "")
