"""The store of one data root: content by digest, and the metadata that commits it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lamina.errors import Corrupt
from lamina.formats.digest import Digest
from lamina.progress import ignore
from lamina.store.blobs import BlobStore
from lamina.store.content import Collected, ContentTable, Row, all_candidates, is_owned, over_cap, unneeded
from lamina.store.database import Database, disk_errors, transaction
from lamina.store.durability import Syncer, boot_id, recover
from lamina.store.layers import LayerStore, hash_file
from lamina.store.layout import Layout, RootLock
from lamina.store.leases import Lease
from lamina.store.transaction import ReadTransaction, Transaction

CACHE_BYTES = 4 << 30  # compressed blobs kept beside their layers
SYNC_DELAY = 1.0  # seconds between a change and the pass that makes it survive a power cut


class Dependents:
    """Rooms that keep files of their own for what is in the store, and what they add to the store's verbs.

    This class adds nothing. The store calls it without holding a lock.
    """

    def flush(self) -> None:
        """Flush the files that rows refer to, before a `sync` flushes the rows."""

    def tidy(self) -> None:
        """Drop files that are kept for content which has just been removed."""

    def collect(self) -> None:
        """Drop files that are kept for missing content, after a `collect`."""


class _TakenBack(Exception):
    """The end of a rehearsal."""


class Store:
    """Blobs, layers and records below one directory, owned by one process at a time. Thread-safe.

    What a method reported done survives `kill -9` at once, and a power cut after `sync`, which also happens by itself
    about `SYNC_DELAY` seconds later. Use it as a context manager, or `close` it.
    """

    def __init__(self, root: Path, cache_bytes: int, boot: str, dependents: Dependents) -> None:
        layout = Layout(root)
        self._dependents = dependents
        with disk_errors():
            layout.make()
            self._lock = RootLock(layout.lock)
        try:
            self._open(layout, cache_bytes, boot)
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        cache_bytes: int = CACHE_BYTES,
        boot: str | None = None,
        dependents: Dependents | None = None,
    ) -> Store:
        """Open the store at `root`, making it where there is none, and put right what a crash left.

        `cache_bytes` caps the compressed blobs that are kept only to save work. `boot` names the present run of the
        kernel (found out by itself). `dependents` keep files that the store's rows tell of.

        Raise Conflict when another engine has it, Corrupt, NoSpace, and Unsupported when a newer lamina wrote it.
        """
        return cls(root.absolute(), cache_bytes, boot_id() if boot is None else boot, dependents or Dependents())

    def _open(self, layout: Layout, cache_bytes: int, boot: str) -> None:
        self.root = layout.root
        self._layout = layout
        self._cache_bytes = cache_bytes
        self._generations: Counter[str] = Counter()  # changes of the documents in each bucket since the start
        self._database = Database(layout.database)
        self._content = ContentTable(layout, self._database)
        try:
            self.lost = recover(self._content, boot)
        except BaseException:
            self._database.close()
            raise
        self.blobs = BlobStore(self._content, cache_bytes)
        self.layers = LayerStore(self._content)
        self._syncer = Syncer(self._content, SYNC_DELAY, self._dependents.flush)
        self._content.changed.set()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change records and owners: all of the block, or nothing when it raises. One at a time.

        Content that lost its last owner in it is removed with the commit. Raise NoSpace.
        """
        with self._database.exclusive(), disk_errors():
            connection = self._database.writer
            with ExitStack() as until_committed:
                with transaction(connection):
                    changes = Transaction(connection, self._content.reserve.give_up)
                    yield changes
                    until_committed.enter_context(self._content.leases.lock)
                    released = self._unneeded(connection, changes.released)
                    files = self._content.drop(connection, released)
            for bucket in changes.touched:
                self._generations[bucket] += 1
            moved = self._content.aside(files)
            changes.dropped = tuple(Digest.parse(row.digest) for row in released)
        self._content.changed.set()
        if moved:
            self._content.unlink(moved)
            self._dependents.tidy()

    @contextmanager
    def rehearsal(self) -> Iterator[Transaction]:
        """Yield a transaction whose changes are taken back when the block ends. `dropped` is known then as well."""
        with self._database.exclusive(), disk_errors():
            connection = self._database.writer
            with suppress(_TakenBack), transaction(connection):
                changes = Transaction(connection, ignore)
                yield changes
                with self._content.leases.lock:
                    released = self._unneeded(connection, changes.released)
                changes.dropped = tuple(Digest.parse(row.digest) for row in released)
                raise _TakenBack

    def _unneeded(self, connection: sqlite3.Connection, released: set[str]) -> list[Row]:
        """Return what nothing needs of `released`. Call it with the lock of the leases held."""
        return unneeded(connection, released, self._content.leases.held()) if released else []

    def generation(self, *buckets: str) -> int:
        """Return a number that is higher after each change of a document in one of `buckets`.

        What was read after asking for it holds as long as it stays the same: only this process changes the metadata.
        """
        return sum(self._generations[bucket] for bucket in buckets)

    @contextmanager
    def read(self) -> Iterator[ReadTransaction]:
        """Yield a view of the metadata that never waits for a writer and sees only what is committed."""
        with self._database.read() as connection:
            yield ReadTransaction(connection)

    def lease(self, ttl: float = 3600.0, *, keep: bool = False) -> Lease:
        """Return a context manager that keeps new content from being collected, for `ttl` seconds at most.

        When it ends, content it held that has no owner by then is removed, so a failure leaves the store as it was.
        With `keep`, a failure leaves it to the next `collect`: an interrupted pull can go on with what is complete.
        """
        return Lease(self._content.leases, ttl, self._sweep, keep=keep)

    def _sweep(self, digests: set[str]) -> None:
        with self._database.read() as connection:
            orphans = [digest for digest in digests if not is_owned(connection, digest)]
        if orphans and self._content.commit(lambda connection, leased: unneeded(connection, orphans, leased)):
            self._dependents.tidy()

    def collect(self, dry_run: bool = False, *, cache_bytes: int | None = None) -> Collected:
        """Remove all content that no owner, lease or cache needs, and interrupted resumable ingests.

        `cache_bytes` lowers the cache's cap for this once. With `dry_run`, only tell what would go.
        """
        cap = self._cache_bytes if cache_bytes is None else cache_bytes
        doomed: list[Row] = []

        def change(connection: sqlite3.Connection, leased: set[str]) -> Iterable[Row]:
            doomed.extend(over_cap(connection, cap, leased))
            doomed.extend(unneeded(connection, all_candidates(connection), leased))
            if dry_run:
                raise _DryRun
            return dict.fromkeys(doomed)

        try:
            self._content.commit(change)
            self.blobs.drop_partials()
            self._dependents.collect()
        except _DryRun:
            pass
        return Collected.of(dict.fromkeys(doomed))

    def sync(self) -> None:
        """Wait until everything committed so far survives a power cut. Raise NoSpace."""
        self._syncer.sync()

    def verify(self) -> Iterator[Corrupt]:
        """Hash every blob and layer again. Yield an error for each that does not have its digest."""
        with self._database.read() as connection:
            rows = [(Digest.parse(d), kind) for d, kind in connection.execute("SELECT digest, kind FROM content")]
        for digest, kind in rows:
            path = self._layout.files(digest, kind)[0]
            try:
                actual = hash_file(path, digest.algorithm)
            except FileNotFoundError:
                if self._content.find(digest, kind) is not None:
                    yield Corrupt(f"{kind} {digest} has no file", expected=digest)
                continue
            if actual != digest:
                yield Corrupt(f"{kind} {digest} is damaged: it has digest {actual}", expected=digest, found=actual)

    def close(self) -> None:
        """Flush, and unlock the root, also on a full disk. May be called twice."""
        try:
            self._syncer.close()
        finally:
            self._content.deletions.close()
            self._database.close()
            self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


class _DryRun(Exception):
    """Rolls a collect back."""
