"""Answers that several handlers give."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from lamina.registry.call import Call


def empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer without a body."""
    return web.Response(status=status, headers=headers)


def document(
    body: bytes, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an answer with a JSON body."""
    return web.Response(body=body, headers={"Content-Type": content_type, **(headers or {})})


def content_headers(digest: str, media_type: str) -> dict[str, str]:
    """Return headers for content that never changes."""
    return {"Docker-Content-Digest": digest, "ETag": f'"{digest}"', "Content-Type": media_type}


def not_modified(call: Call, digest: str) -> bool:
    """Return whether the client has this content already (RFC 9110, 13.1.2)."""
    etags = call.request.headers.get("If-None-Match")
    return etags is not None and digest in etags
