"""Authentication to registries without I/O: challenges and credentials in, token requests out, an Authorization back.

The flow is a generator: it yields the requests that must be made, is sent their answers, and returns the value of the
Authorization header. The rules are those of the distribution project's token and OAuth 2 specifications.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from lamina.credentials import Credentials
from lamina.distribution.headers import Challenge
from lamina.errors import Unauthorized, Unavailable
from lamina.formats.times import parse_time

CLIENT_ID = "lamina"
SHORTEST_LIFE = 60.0  # seconds a token lives at least, by the token specification
MARGIN = 10.0  # seconds before its end when a token is no longer used


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request the flow needs made: POST with `form` where there is one, else GET."""

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    form: dict[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """The answer to a TokenRequest."""

    status: int
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Authorization:
    """The value of an Authorization header, and until when it holds (`time.time()`; infinity for basic)."""

    value: str = field(repr=False)
    expires: float = float("inf")
    refresh_token: str = field(default="", repr=False)

    def fresh(self, now: float | None = None) -> bool:
        """Return whether it can still be used."""
        return (time.time() if now is None else now) < self.expires


Flow = Generator[TokenRequest, TokenAnswer, Authorization]


def authorize(
    challenges: Iterable[Challenge],
    credentials: Credentials | None,
    scopes: Iterable[str],
    *,
    offline: bool = False,
    plain: bool = False,
) -> Flow:
    """Answer `challenges`, the best one first. `scopes` are such as `repository:library/x:pull`.

    With `offline` (login), request a refresh token too. With `plain`, the token server need not speak TLS, as the
    registry does not either. Raise Unauthorized where no challenge can be answered or the token server refuses,
    Unavailable where the token server does not work.
    """
    offered = {challenge.scheme: challenge for challenge in reversed(list(challenges))}
    if credentials and credentials.registry_token:
        return Authorization(f"Bearer {credentials.registry_token}")
    if bearer := offered.get("bearer"):
        return (yield from _bearer(bearer.parameters, credentials, sorted(set(scopes)), offline, plain))
    if "basic" in offered and credentials and credentials.username:
        return Authorization(basic(credentials))
    raise Unauthorized("The registry asks who you are", advice="Log in to it first.", schemes=sorted(offered))


def basic(credentials: Credentials) -> str:
    """Return the Authorization value of HTTP's basic scheme (RFC 7617)."""
    pair = f"{credentials.username}:{credentials.password}".encode()
    return "Basic " + base64.b64encode(pair).decode()


def _bearer(
    parameters: dict[str, str], credentials: Credentials | None, scopes: list[str], offline: bool, plain: bool
) -> Flow:
    realm = parameters.get("realm", "")
    _check_realm(realm, plain)
    answer = yield _token_request(realm, parameters, credentials, scopes or _offered_scopes(parameters), offline)
    if answer.status in (400, 401, 403):
        raise Unauthorized(
            f"The token server {_place(realm)} refused the credentials with status {answer.status}",
            advice="Log in again, or check the name and the password.",
            status=answer.status,
        )
    if answer.status != 200:
        raise Unavailable(
            f"The token server {_place(realm)} answered with status {answer.status}", status=answer.status
        )
    return _read_token(answer.body, realm)


def _check_realm(realm: str, plain: bool) -> None:
    try:
        parts = urlsplit(realm)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Unauthorized("The registry names no token server", realm=realm)
    if parts.scheme == "http" and not plain:
        advice = "Credentials are not sent there. Ask who runs the registry for a token server with HTTPS."
        raise Unauthorized(f"The token server {_place(realm)} does not speak TLS", advice=advice, realm=realm)


def _token_request(
    realm: str, parameters: dict[str, str], credentials: Credentials | None, scopes: list[str], offline: bool
) -> TokenRequest:
    service = parameters.get("service", "")
    if credentials and credentials.identity_token:
        form = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token, "client_id": CLIENT_ID}
        return TokenRequest(realm, form=form | {"service": service, "scope": " ".join(scopes)})
    query: list[tuple[str, str]] = [("service", service)] if service else []
    query += [("scope", scope) for scope in scopes]
    headers = {}
    if credentials and credentials.username:
        query.append(("account", credentials.username))
        headers["Authorization"] = basic(credentials)
    if offline:
        query += [("offline_token", "true"), ("client_id", CLIENT_ID)]
    joint = "&" if urlsplit(realm).query else "?"
    return TokenRequest(realm + joint + urlencode(query) if query else realm, headers)


def _offered_scopes(parameters: dict[str, str]) -> list[str]:
    return parameters.get("scope", "").split()


class _TokenDocument(msgspec.Struct):
    """The answer of a token server (token specification, "Requesting a Token")."""

    token: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    expires_in: float | None = None
    issued_at: Any = None


def _read_token(body: bytes, realm: str) -> Authorization:
    try:
        document = msgspec.json.decode(body, type=_TokenDocument, strict=False)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Unavailable(f"The token server {_place(realm)} gave an answer that is not understood") from error
    token = document.token or document.access_token or ""
    if not token or not (token.isascii() and token.isprintable()):
        raise Unavailable(f"The token server {_place(realm)} gave no token")
    expires = _issued(document.issued_at) + max(document.expires_in or 0, SHORTEST_LIFE) - MARGIN
    return Authorization(f"Bearer {token}", expires, document.refresh_token or "")


def _issued(written: Any) -> float:
    """Return when the token was issued. A clock that differs from ours must not make it look older than it is."""
    now = time.time()
    if not isinstance(written, str) or not written:
        return now
    try:
        stamp = parse_time(written) / 10**9
    except ValueError:
        return now
    return now if abs(now - stamp) > SHORTEST_LIFE / 2 else stamp


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
