"""Caches of builds in folders here: the daemon asks for blobs and sends new ones, each by a request of its own."""

from __future__ import annotations

from lamina.client.transport import encode_name
from lamina.errors import Forbidden, NotFound
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.light import TYPE_CHECKING
from lamina.linux.layout_folder import LayoutFolder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lamina.api.build import BuildRequest
    from lamina.cancellation import Cancellation
    from lamina.client.transport import Transport

_OCTETS = {"Content-Type": "application/octet-stream"}


class CacheFolders:
    """The folders that a request names. No other folder is opened, whatever the daemon asks for."""

    def __init__(self, request: BuildRequest, transport: Transport, cancellation: Cancellation) -> None:
        self._transport = transport
        self._cancellation = cancellation
        written, read = (
            {option.attrs.get(name, "") for option in options if option.type == "local"}
            for name, options in (("dest", request.cache_exports), ("src", request.cache_imports))
        )
        self._written, self._read = written, read | written

    def answer(self, question: Mapping[str, Any]) -> None:
        """Answer one question of a build. Raise Forbidden, Corrupt for a blob with another digest, OSError."""
        name, what = question["Folder"], question["Do"]
        if name not in (self._written if what in ("fetch", "finish") else self._read):
            raise Forbidden(f"the daemon asks for the folder {name!r}, which the build does not name")
        folder, path = LayoutFolder(name), f"/build/content/{encode_name(question['Call'])}"
        if what == "finish":
            folder.finish(Descriptor.from_json(question["Descriptor"], "cache"), question["Tag"])
            self._post(path)
            return
        digest = Digest.parse(question["Digest"])
        if what == "fetch":
            reply = self._transport.call("GET", path, cancellation=self._cancellation)
            folder.write(digest, reply.chunks())
        elif what == "size":
            size = folder.size(digest)
            self._post(path, **({"missing": True} if size is None else {"size": size}))
        else:
            self._send(folder, digest, path)

    def _send(self, folder: LayoutFolder, digest: Digest, path: str) -> None:
        try:
            with folder.open(digest) as blob:
                self._transport.call("POST", path, body=blob, headers=_OCTETS, cancellation=self._cancellation).read()
        except NotFound as error:
            if error.facts.get("from_daemon"):
                raise
            self._post(path, missing=True)

    def _post(self, path: str, **query: object) -> None:
        self._transport.call("POST", path, query, cancellation=self._cancellation).read()
