"""A folder of a BuildKit client for a cache or an image, over the content service of its session.

Rule: moby/buildkit, session/content, cache/remotecache/local and exporter/oci, and containerd, api/services/content.
The client keeps `index.json` itself: it is told the manifest's descriptor when the build has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lamina.daemon.buildkit.filesync import StreamReader
from lamina.daemon.buildkit.frontend import Client
from lamina.daemon.buildkit.messages.content import (
    COMMIT,
    WRITE,
    InfoRequest,
    InfoResponse,
    ReadRequest,
    ReadResponse,
    WriteRequest,
)
from lamina.daemon.buildkit.sessions import SessionCall
from lamina.errors import Conflict, NotFound, Unavailable
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.layers.tar.source import Readable

_SERVICE = "/containerd.services.content.v1.Content/"
_STORE = "buildkit-attachable-store-id"
_CACHE = "local:"  # before the name of a folder for a cache, in the ID of its store
_EXPORT = "export"  # the ID of the store for the image of an output
_MESSAGE = 1 << 20  # bytes in one message: gRPC's clients take no more than four times as many


class SessionFolder:
    """A folder of a client: a CacheFolder."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._headers = [(_STORE, _CACHE + name)]

    @classmethod
    def for_image(cls, client: Client) -> SessionFolder:
        """Return the folder in which a client wants the layout of an image."""
        folder = cls(client, "")
        folder._headers = [(_STORE, _EXPORT)]
        return folder

    def size(self, digest: Digest) -> int | None:
        try:
            with self._call("Info") as call:
                call.send(InfoRequest(str(digest)))
                call.end()
                answer = call.receive()
        except NotFound:
            return None
        info = InfoResponse.decode(answer[0]).info if answer else None
        return info.size if info else None

    @contextmanager
    def open(self, digest: Digest) -> Iterator[Readable]:
        with self._call("Read") as call:
            call.send(ReadRequest(str(digest)))
            call.end()
            yield StreamReader(call, lambda raw: ReadResponse.decode(raw).data)

    def write(self, digest: Digest, pieces: Iterable[bytes]) -> None:
        """Add a blob. The client answers each piece, and checks the digest at the end."""
        name, offset = str(digest), 0
        try:
            with self._call("Write") as call:
                for piece in pieces:
                    for start in range(0, len(piece), _MESSAGE):
                        data = piece[start : start + _MESSAGE]
                        call.send(WriteRequest(WRITE, f"lamina-{name}", 0, name, offset, data))
                        _check_answered(call, name)
                        offset += len(data)
                call.send(WriteRequest(COMMIT, f"lamina-{name}", offset, name, offset))
                _check_answered(call, name)
        except Conflict:  # another build has just written it
            return

    def finish(self, manifest: Descriptor, tag: str) -> None:
        """Leave `index.json` to the client."""

    def _call(self, method: str) -> SessionCall:
        return self._client.session.call(_SERVICE + method, self._client.cancellation, self._headers)


def _check_answered(call: SessionCall, name: str) -> None:
    if not call.receive():
        raise Unavailable(f"the client stopped taking {name}")
