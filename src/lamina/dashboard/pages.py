"""The files of the dashboard's page: read once, compressed once, and served with a policy that runs no other code.

A file's address has the digest of all files in it, so a browser keeps a file without asking whether it has changed.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

from lamina.errors import NotFound

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
SAFETY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What every page says to the browser: no code but the dashboard's own files, and no request to anywhere else."""


_KEPT = "private, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    compressed: bytes
    kind: str


class Pages:
    """The files below `static/`, by their paths. `start` and `end` are the page around what is put into it."""

    def __init__(self) -> None:
        self._files = dict(_read(files("lamina.dashboard") / "static", ""))
        digest = hashlib.sha256()
        for path, file in sorted(self._files.items()):
            digest.update(f"{path} {len(file.content)}\n".encode() + file.content)
        self._version = digest.hexdigest()[:32]
        page = self._files.pop("index.html").content.replace(b'"static/', f'"static/{self._version}/'.encode())
        self.start, self.end = page.split(b"<!-- first answers -->")

    def answer(self, request: web.Request, version: str, path: str) -> web.Response:
        """Return a file, which the browser keeps if it asks for this version. Raise NotFound."""
        file = self._files.get(path)
        if file is None:
            raise NotFound("there is no such page", path=path)
        headers = {"Cache-Control": _KEPT if version == self._version else "no-store", **SAFETY}
        body = file.content
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = file.compressed
        return web.Response(body=body, headers={**headers, "Content-Type": file.kind, "Vary": "Accept-Encoding"})


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, _File]]:
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _read(entry, f"{path}/")
        elif kind := _TYPES.get(entry.name.rpartition(".")[2]):
            content = entry.read_bytes()
            yield path, _File(content, gzip.compress(content, mtime=0), kind)
