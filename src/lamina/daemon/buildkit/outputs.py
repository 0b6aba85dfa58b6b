"""Outputs of a build that go to a BuildKit client: its progress, its folders and files, and its credentials.

Rule: moby/buildkit, session/filesync. The client offers one place for each output, by its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from lamina.cancellation import Cancellation
from lamina.credentials import Credentials
from lamina.daemon.buildkit.filesend import send_files, stream_to
from lamina.daemon.buildkit.frontend import Client
from lamina.daemon.buildkit.session_folder import SessionFolder
from lamina.formats.reference import Reference
from lamina.layers.tar.writer import Writable
from lamina.layers.tree import Tree
from lamina.progress import Report


class SessionOutput:
    """One output of a client: an ExportClient."""

    def __init__(self, client: Client, number: int) -> None:
        self._client = client
        self._number = number

    @property
    def cancellation(self) -> Cancellation:
        return self._client.cancellation

    @contextmanager
    def step(self, name: str) -> Iterator[Report]:
        """Show the work of a block as a vertex."""
        with self._client.vertices.step(name) as vertex:
            yield partial(self._client.vertices.hear, vertex)

    def send_files(self, tree: Tree) -> None:
        """Write a tree into the client's folder."""
        send_files(self._client.session, tree, self._number, self.cancellation)

    def stream(self, told: Mapping[str, str]) -> AbstractContextManager[Writable]:
        """Provide the client's file."""
        metadata = [(name, value) for name, value in told.items() if name.isascii() and value.isascii()]
        return stream_to(self._client.session, self._number, self.cancellation, metadata)

    def layout_folder(self) -> SessionFolder:
        """Return the client's folder for an OCI layout."""
        return SessionFolder.for_image(self._client)

    def credentials(self, reference: Reference) -> Credentials | None:
        """Return who the client's user is at a registry."""
        return self._client.credentials(reference)

    def cache_folder(self, name: str) -> SessionFolder:
        """Return a folder of the client's."""
        return SessionFolder(self._client, name)
