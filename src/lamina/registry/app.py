"""From a request to an answer: parse, identify, allow, handle, and turn errors into the specification's form."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from lamina.errors import Forbidden, Internal, LaminaError, Unauthorized, Unsupported
from lamina.formats.http import BrowserGuard
from lamina.progress import ignore
from lamina.registry import faults
from lamina.registry.auth.gates import Gate
from lamina.registry.call import Call, Identity, Kind, Target
from lamina.registry.http_server import too_slow
from lamina.registry.registry import Registry
from lamina.registry.routes import PUSH, ROUTES, Route, parse_path
from lamina.registry.service_pages import PAGES, serve_page

_log = logging.getLogger(__name__)
_METHODS = frozenset(method for _, method in ROUTES)
_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}


@dataclass(slots=True)
class _Note:
    """What log and metrics want to know of a request."""

    operation: str = "other"
    user: str = ""


class App:
    """The handler for aiohttp's low-level server."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        config = registry.config
        names = frozenset(name.lower() for name in config.allowed_hosts)
        self._guard = BrowserGuard(names, frozenset(config.allowed_origins))

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        note = _Note()
        metrics, began = self._registry.metrics, time.perf_counter()
        metrics.in_flight += 1
        try:
            answer = await self._safely(request, note)
        finally:
            metrics.in_flight -= 1
        seconds = time.perf_counter() - began
        received, sent = request.content.total_bytes, answer.content_length or 0
        metrics.count(note.operation, _known(request.method), answer.status, seconds, received, sent)
        if self._registry.log is not ignore:
            self._registry.log(_record(request, note, answer, seconds))
        return answer

    async def _safely(self, request: web.BaseRequest, note: _Note) -> web.StreamResponse:
        try:
            return await self._answer(request, note)
        except LaminaError as error:
            return self._failure(request, error)
        except (ConnectionError, TimeoutError):
            return self._failure(request, too_slow())
        except asyncio.CancelledError:
            raise
        except Exception:  # one bad request must not end the server
            _log.exception("a request failed: %s %s", request.method, request.path)
            return self._failure(request, Internal("The registry failed; its log tells more"))

    async def _answer(self, request: web.BaseRequest, note: _Note) -> web.StreamResponse:
        self._keep_pages_out(request)
        path = unquote(request.rel_url.raw_path, errors="surrogateescape")
        if path in PAGES:
            note.operation = path[1:]
            return await serve_page(self._registry, request, path)
        target = parse_path(path)
        note.operation = target.kind.value
        route = _route(request, target)
        identity = await self._admit(request, target, route)
        note.user = identity.name
        call = Call(request, target, identity, self._registry.config.body_timeout)
        return await route.handler(self._registry, call)

    def _keep_pages_out(self, request: web.BaseRequest) -> None:
        """Raise Forbidden for what web pages send.

        The Host header is checked only on loopback without accounts and TLS. Elsewhere a page whose name leads here
        has no password and no certificate, and the registry cannot know all the names that its clients use.
        """
        self._guard.check_page(request.headers)
        local = request.get_extra_info("sockname")
        if self._registry.config.auth.htpasswd is None and not request.secure and local and _is_loopback(local[0]):
            self._guard.check_host(request.headers)

    async def _admit(self, request: web.BaseRequest, target: Target, route: Route) -> Identity:
        """Return who asks, if they may do this. Raise Unauthorized, Forbidden, Unsupported."""
        gate = self._registry.gate
        scope = _scope(target, route, request.method)
        try:
            identity = await gate.identify(request.headers)
        except Unauthorized as error:
            raise Unauthorized(error.message, **{"scope": scope, **error.facts}) from error
        if target.kind in (Kind.BASE, Kind.CATALOG):
            if not identity.name and identity.grants is None and gate.challenge(None, "") is not None:
                raise Unauthorized("Credentials are needed", scope=scope)
        elif route.action and not gate.allows(identity, target.repository, route.action):
            raise _refusal(gate, identity, target, route.action, scope)
        if route.writes and self._registry.config.read_only:
            raise Unsupported("The registry is read-only")
        if route.action == PUSH and self._registry.proxy_cache and self._registry.proxy_cache.covers(target.repository):
            raise Unsupported(f"{target.repository} is a cache of another registry: push there")
        return identity

    def _failure(self, request: web.BaseRequest, error: LaminaError) -> web.Response:
        headers = {"Content-Type": "application/json", **_VERSION, **error.facts.get("headers", {})}
        status = faults.status_of(error)
        if status == 401 and (challenge := self._challenge(request, error)):
            headers["WWW-Authenticate"] = challenge
        body = faults.body_of(error)
        answer = web.Response(status=status, headers=headers, body=b"" if request.method == "HEAD" else body)
        if not request.content.is_eof():
            answer.force_close()
        return answer

    def _challenge(self, request: web.BaseRequest, error: LaminaError) -> str | None:
        base = f"{request.scheme}://{request.host}"
        return self._registry.gate.challenge(error.facts.get("scope"), base, error.facts.get("problem", ""))


def _is_loopback(address: str) -> bool:
    return ip_address(address.partition("%")[0].removeprefix("::ffff:")).is_loopback


def _known(method: str) -> str:
    return method if method in _METHODS else "OTHER"


def _record(request: web.BaseRequest, note: _Note, answer: web.StreamResponse, seconds: float) -> dict[str, Any]:
    return {
        "remote": request.remote or "",
        "user": note.user,
        "method": request.method,
        "path": request.rel_url.raw_path,
        "operation": note.operation,
        "status": answer.status,
        "seconds": round(seconds, 6),
        "received": request.content.total_bytes,
        "sent": answer.content_length or 0,
        "agent": request.headers.get("User-Agent", "")[:200],
    }


def _route(request: web.BaseRequest, target: Target) -> Route:
    route = ROUTES.get((target.kind, request.method))
    if route is None:
        methods = ", ".join(sorted(method for kind, method in ROUTES if kind is target.kind))
        raise Unsupported(f"{request.method} is not possible here", headers={"Allow": methods})
    return route


def _scope(target: Target, route: Route, method: str) -> str | None:
    if target.kind is Kind.CATALOG:
        return "registry:catalog:*"
    if route.action is None:
        return None
    actions = {"pull": "pull", "push": "pull,push", "delete": "delete"}[route.action]
    if target.kind is Kind.BLOB and method == "HEAD":
        actions = "pull,push"  # who looks for a blob is about to send it, and some keep their first token for that
    return f"repository:{target.repository}:{actions}"


def _refusal(gate: Gate, identity: Identity, target: Target, action: str, scope: str | None) -> LaminaError:
    """Return the error for an action that is not allowed: 401 where other credentials would help, else 403."""
    what = f"{action} {target.repository}"
    if identity.name and not gate.allows(Identity(identity.name), target.repository, action):
        return Forbidden(f"{identity.name} may not {what}")
    problem = "insufficient_scope" if identity.grants is not None else ""
    return Unauthorized(f"Credentials that allow to {what} are needed", scope=scope, problem=problem)
