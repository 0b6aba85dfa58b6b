"""The files of containers: looked at, copied in and out, exported, and which of them changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from lamina.api.explorer import FolderEntry
from lamina.cancellation import NEVER, Cancellation, CheckedReader
from lamina.containers import archive
from lamina.containers.archive import PathChange, PathStat
from lamina.containers.catalog import Catalog
from lamina.containers.container import Container
from lamina.containers.folder_list import list_folder
from lamina.containers.rooms import Rooms
from lamina.types.composed_verbs import ComposedVerbs


class FileVerbs(ComposedVerbs):
    """The verbs of `Containers` on their files."""

    def __init__(self, rooms: Rooms, catalog: Catalog) -> None:
        self._rooms = rooms
        self._catalog = catalog

    def live(self, reference: str) -> Container:
        """Return the container itself, as the engine's rooms work with it. Raise NotFound, InvalidInput."""
        return self._catalog.get(reference)

    def changes(self, reference: str) -> Sequence[PathChange]:
        container = self.live(reference)
        with container.still_there(reference):
            changes = self._rooms.snapshots.get(container.id).changes()
            return [PathChange(f"/{change.path}", change.kind) for change in changes]

    def stat_path(self, reference: str, path: str) -> PathStat:
        return archive.stat_path(self.live(reference), self._rooms, path, reference)

    def folder(self, reference: str, path: str = "/") -> Sequence[FolderEntry]:
        return list_folder(self.live(reference), self._rooms, path, reference)

    def get_archive(
        self, reference: str, path: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER
    ) -> PathStat:
        container = self.live(reference)
        status = archive.get_archive(container, self._rooms, path, sink, reference, cancellation)
        container.publish("archive-path")
        return status

    def put_archive(
        self,
        reference: str,
        path: str,
        source: IO[bytes],
        *,
        no_overwrite: bool = False,
        copy_owner: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> None:
        container, checked = self.live(reference), CheckedReader(source, cancellation)
        archive.put_archive(
            container, self._rooms, path, checked, reference, no_overwrite=no_overwrite, copy_owner=copy_owner
        )
        container.publish("extract-to-dir")

    def export(self, reference: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER) -> None:
        container = self.live(reference)
        archive.export(container, self._rooms, sink, cancellation)
        container.publish("export")
