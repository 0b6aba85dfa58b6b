"""What the registry serves beside the API: health, metrics, and tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from aiohttp import web

from lamina.errors import InvalidInput, NotFound, Unauthorized, Unsupported
from lamina.formats.document import encode
from lamina.registry.call import Call, Identity, Kind, Target
from lamina.registry.handlers.answers import document
from lamina.registry.metadata import repositories

if TYPE_CHECKING:
    from lamina.registry.registry import Registry

_FORM_LIMIT = 64 << 10  # bytes
Page = Callable[["Registry", web.BaseRequest], Awaitable[web.StreamResponse]]


async def healthy(registry: Registry, request: web.BaseRequest) -> web.StreamResponse:
    """Tell that the process answers."""
    return document(b'{"status":"ok"}')


async def ready(registry: Registry, request: web.BaseRequest) -> web.StreamResponse:
    """Tell that database and storage answer too. Raises their error otherwise."""
    await registry.database.read(repositories.exists, "ready")
    await registry.storage.check()
    return document(b'{"status":"ready"}')


async def metrics(registry: Registry, request: web.BaseRequest) -> web.StreamResponse:
    """Answer with Prometheus' text format. The configuration says who may read it."""
    readers = registry.config.metrics
    if readers == "nobody":
        raise NotFound("This registry shows no metrics", code="NOT_FOUND")
    if readers == "users" and not (await registry.gate.identify(request.headers)).name:
        raise Unauthorized("Credentials are needed")
    return document(registry.metrics.render(), "text/plain; version=0.0.4; charset=utf-8")


async def token(registry: Registry, request: web.BaseRequest) -> web.StreamResponse:
    """Answer with a token: to GET with basic authentication, or to POST of an OAuth 2 form."""
    if registry.tokens is None:
        raise NotFound("This registry gives no tokens", code="NOT_FOUND")
    form: dict[str, list[str]] = {}
    if request.method == "POST":
        call = Call(request, Target(Kind.BASE), Identity(), registry.config.body_timeout)
        body = await call.whole(_FORM_LIMIT)
        form = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
        if form.get("grant_type", [""])[0] != "password":
            raise InvalidInput("Only grant_type=password is taken", code="UNSUPPORTED")
    scopes = form.get("scope", []) or request.rel_url.query.getall("scope", [])
    answer = await registry.tokens.answer(request.headers, scopes, {name: values[0] for name, values in form.items()})
    return document(encode(answer), headers={"Cache-Control": "no-store"})


PAGES: dict[str, tuple[Page, tuple[str, ...]]] = {
    "/healthz": (healthy, ("GET", "HEAD")),
    "/readyz": (ready, ("GET", "HEAD")),
    "/metrics": (metrics, ("GET",)),
    "/token": (token, ("GET", "POST")),
}


async def serve_page(registry: Registry, request: web.BaseRequest, path: str) -> web.StreamResponse:
    """Serve the page at `path`, one of PAGES. Raise Unsupported for a method it does not have."""
    page, methods = PAGES[path]
    if request.method not in methods:
        raise Unsupported(f"{request.method} is not possible here", headers={"Allow": ", ".join(methods)})
    return await page(registry, request)
