"""The files of the dashboard's page: read once, compressed once, and served with a policy that runs no other code."""

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


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    compressed: bytes
    kind: str
    tag: str


class Pages:
    """The files below `static/`, by their paths."""

    def __init__(self) -> None:
        self._files = dict(_read(files("lamina.dashboard") / "static", ""))

    def answer(self, request: web.Request, path: str) -> web.Response:
        """Return a file, or "not modified" where the browser has it. Raise NotFound."""
        file = self._files.get(path or "index.html")
        if file is None:
            raise NotFound("there is no such page", path=path)
        headers = {"Cache-Control": "no-cache", "ETag": file.tag, **SAFETY}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
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
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            yield path, _File(content, gzip.compress(content, mtime=0), kind, tag)
