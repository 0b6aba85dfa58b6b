"""Requests to one registry: authentication, patience, redirects, and errors with a kind."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3

from lamina.credentials import Credentials
from lamina.distribution.answers import connection_failure, failure
from lamina.distribution.auth import (
    Authorization,
    TokenAnswer,
    TokenRequest,
    authorize,
)
from lamina.distribution.headers import Challenge, parse_challenges, retry_after
from lamina.distribution.pools import Pools
from lamina.distribution.settings import Endpoint, Settings
from lamina.errors import InvalidInput, LaminaError, Unauthorized, Unavailable

REDIRECTS = frozenset({301, 302, 303, 307, 308})
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
UNMET = 1  # how often to try again to reach who never answered: more likely than a break is a wrong address
MAX_REDIRECTS = 5
MAX_BODY = 8 << 20  # bytes of an answer that is read whole
MAX_ERROR_BODY = 64 << 10

Answer = urllib3.BaseHTTPResponse


class Transport:
    """Speaks to one endpoint with one identity. Thread-safe. Tokens are kept for each set of scopes."""

    def __init__(self, endpoint: Endpoint, settings: Settings, pools: Pools, credentials: Credentials | None) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self.cancellation = pools.cancellation
        self._pools = pools
        self._credentials = credentials
        self._lock = threading.Lock()
        self._challenges: list[Challenge] = []
        self._met = False  # whether it ever answered
        self._authorizations: dict[tuple[str, ...], Authorization] = {}

    def request(
        self,
        method: str,
        url: str,
        scopes: Iterable[str] = (),
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        accept: Iterable[int] = (200,),
        retry: bool = True,
    ) -> Answer:
        """Make a request (`url` may be relative to the endpoint) and give an answer whose status is in `accept`.

        Its body is not read yet: use `read`, or read and close it. Tries again after transient failures, unless
        `retry` is off; asks for a token where one is needed, and for another when it runs out. `body` is bytes or a
        callable that gives a fresh readable each time. An Authorization among `headers` is sent instead of what would
        be found out; an empty one stands for none. Raises the kinds of `answers`.
        """
        full = self.endpoint.base + url if url.startswith("/") else url
        failures = 0
        while True:
            self.cancellation.check()
            try:
                answer = self._authorized(method, full, tuple(sorted(set(scopes))), dict(headers or {}), body)
            except urllib3.exceptions.HTTPError as error:
                self.cancellation.check()
                problem, asked = connection_failure(full, error), None
                again = not problem.facts.get("tls") and (self._met or failures < UNMET or not _unmade(error))
            else:
                self._met = True
                if answer.status in accept:
                    return answer
                problem, asked = _as_error(method, full, answer), retry_after(answer.headers.get("Retry-After"))
                again = answer.status in TRANSIENT
            failures += 1
            patience = self.settings.retry
            if not retry or not again or failures >= patience.attempts or (asked or 0) > patience.longest:
                raise problem
            patience.pause(self.cancellation, failures, asked)

    def document(
        self, method: str, url: str, scopes: Iterable[str] = (), *, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        """As `request`, with the whole body; a connection that breaks while it is read counts as transient too."""
        for failures in range(1, self.settings.retry.attempts + 1):
            answer = self.request(method, url, scopes, headers=headers)
            try:
                return answer.headers, read(answer)
            except urllib3.exceptions.HTTPError as error:
                self.cancellation.check()
                problem = connection_failure(self.endpoint.base, error)
            self.settings.retry.pause(self.cancellation, failures)
        raise problem

    def _authorized(self, method: str, url: str, scopes: tuple[str, ...], headers: dict[str, str], body: Any) -> Answer:
        ours = same_place(url, self.endpoint.base) and "Authorization" not in headers
        used = self._known_authorization(scopes) if ours else None
        answer = self._follow(method, url, headers, body, used)
        if answer.status != 401 or not ours:
            return answer
        challenges = parse_challenges(", ".join(answer.headers.getlist("WWW-Authenticate")))
        if not challenges:
            return answer
        refused = _as_error(method, url, answer)
        fresh = self._authorization_after(challenges, scopes, used, refused)
        return self._follow(method, url, headers, body, fresh)

    def _known_authorization(self, scopes: tuple[str, ...]) -> Authorization | None:
        with self._lock:
            known = self._authorizations.get(scopes)
            if known and known.fresh():
                return known
            try:
                return self._authorize(scopes) if self._challenges else None
            except Unauthorized:
                return None  # without saying who we are, then: perhaps anyone may do this

    def _authorization_after(
        self, challenges: list[Challenge], scopes: tuple[str, ...], used: Authorization | None, refused: LaminaError
    ) -> Authorization:
        with self._lock:
            known = self._authorizations.get(scopes)
            if known and known is not used and known.fresh():
                return known
            self._challenges = challenges
            try:
                return self._authorize(scopes)
            except Unauthorized as error:
                raise Unauthorized(
                    f"{error.message}: {refused.message}", advice=refused.advice, **refused.facts
                ) from error

    def _authorize(self, scopes: tuple[str, ...]) -> Authorization:
        found = run_flow(self._pools, self.settings, self._challenges, self._credentials, scopes)
        self._authorizations[scopes] = found
        return found

    def _follow(
        self, method: str, url: str, headers: dict[str, str], body: Any, authorization: Authorization | None
    ) -> Answer:
        at = url
        for _ in range(MAX_REDIRECTS):
            sent = {"User-Agent": self.settings.user_agent, "Accept-Encoding": "identity"} | headers
            if not sent.get("Authorization"):
                sent.pop("Authorization", None)
            if authorization and same_place(at, self.endpoint.base):
                sent["Authorization"] = authorization.value
            answer = send(self._pools, method, at, sent, body)
            location = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not location or method not in ("GET", "HEAD"):
                return answer
            drain(answer)
            at = self._redirected(at, location)
        raise Unavailable(f"{self.endpoint.domain} redirects in a circle")

    def _redirected(self, at: str, location: str) -> str:
        target = urljoin(at, location)
        if urlsplit(target).scheme not in ("http", "https"):
            raise InvalidInput(f"{self.endpoint.domain} redirects to something that is not HTTP")
        if at.startswith("https:") and target.startswith("http:") and not self.endpoint.insecure:
            raise InvalidInput(f"{self.endpoint.domain} redirects from HTTPS to plain HTTP, which is not followed")
        return target


def send(pools: Pools, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> Answer:
    """One request as it is, the body of the answer not read yet."""
    content = body() if callable(body) else body
    return pools.for_url(url).request(
        method, url, headers=headers, body=content, preload_content=False, redirect=False, retries=False
    )


def run_flow(
    pools: Pools,
    settings: Settings,
    challenges: list[Challenge],
    credentials: Credentials | None,
    scopes: Iterable[str],
    *,
    offline: bool = False,
) -> Authorization:
    """Drive `authorize` over real connections, with patience for transient failures of the token server."""
    flow = authorize(challenges, credentials, scopes, offline=offline)
    try:
        wanted = next(flow)
        while True:
            wanted = flow.send(_ask(pools, settings, wanted))
    except StopIteration as done:
        found: Authorization = done.value
        return found


def _ask(pools: Pools, settings: Settings, wanted: TokenRequest) -> TokenAnswer:
    headers = {"User-Agent": settings.user_agent} | wanted.headers
    body = None
    if wanted.form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(wanted.form).encode()
    for attempt in range(1, settings.retry.attempts + 1):
        last = attempt == settings.retry.attempts
        try:
            answer = send(pools, "POST" if wanted.form is not None else "GET", wanted.url, headers, body)
            content = read(answer)
        except urllib3.exceptions.HTTPError as error:
            pools.cancellation.check()
            problem = connection_failure(wanted.url, error)
            if last or problem.facts.get("tls"):
                raise problem from error
        else:
            if last or answer.status not in TRANSIENT:
                return TokenAnswer(answer.status, content)
        settings.retry.pause(pools.cancellation, attempt)
    raise Unavailable("The token server was not asked")


def read(answer: Answer, limit: int = MAX_BODY) -> bytes:
    """The whole body, up to `limit` bytes (InvalidInput beyond it), and the connection back to its pool.

    Raises urllib3's errors where the connection breaks.
    """
    try:
        content = answer.read(limit + 1)
        if len(content) > limit:
            raise InvalidInput(f"An answer has more than {limit} bytes")
        return content
    finally:
        drain(answer)


def drain(answer: Answer) -> None:
    """Give the connection back: to its pool if the answer was read, else closed."""
    if answer.length_remaining:
        answer.close()
    answer.release_conn()


def _unmade(error: Exception) -> bool:
    """Whether no connection came about at all."""
    return isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def same_place(url: str, base: str) -> bool:
    """Whether two URLs have the same scheme, host and port, so that secrets for one may go to the other."""
    one, other = urlsplit(url), urlsplit(base)
    return (one.scheme, one.hostname, one.port) == (other.scheme, other.hostname, other.port)


def _as_error(method: str, url: str, answer: Answer) -> LaminaError:
    try:
        body = answer.read(MAX_ERROR_BODY)
    except urllib3.exceptions.HTTPError:
        body = b""
    drain(answer)
    return failure(method, url, answer.status, answer.headers, body)
