"""Requests to one registry: authentication, patience, redirects, and errors with a kind."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3

from lamina.credentials import Credentials
from lamina.distribution.answer_errors import connection_failure, failure
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

SUCCESS = range(200, 300)
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

        The body of the answer is not read yet: use `read`, or read and close it. Try again after transient failures,
        unless `retry` is off. Fetch a token where one is needed, and another when it expires. `body` is bytes, or a
        callable that returns a fresh readable each time. An Authorization among `headers` is sent as it is; an empty
        one sends none. Raise the kinds of `answer_errors`.
        """
        full = self.endpoint.base + url if url.startswith("/") else self._checked(url)
        failures = 0
        while True:
            self.cancellation.check()
            try:
                answer = self._authorized(method, full, tuple(sorted(set(scopes))), dict(headers or {}), body)
            except urllib3.exceptions.HTTPError as error:
                self.cancellation.check()
                problem, pause = connection_failure(full, error), None
                again = not problem.facts.get("tls") and (self._met or failures < UNMET or not _unmade(error))
            else:
                self._met = True
                if answer.status in accept:
                    return answer
                problem, pause = _as_error(method, full, answer), retry_after(answer.headers.get("Retry-After"))
                again = answer.status in TRANSIENT
            failures += 1
            patience = self.settings.retry
            if not retry or not again or failures >= patience.attempts or (pause or 0) > patience.longest:
                raise problem
            patience.pause(self.cancellation, failures, pause)

    def document(
        self, method: str, url: str, scopes: Iterable[str] = (), *, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body of a request as `request` makes it. A body that breaks off is transient too."""
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
            authorization = self._authorizations.get(scopes)
            if authorization and authorization.fresh():
                return authorization
            try:
                return self._authorize(scopes) if self._challenges else None
            except Unauthorized:
                return None  # without saying who we are, then: perhaps anyone may do this

    def _authorization_after(
        self, challenges: list[Challenge], scopes: tuple[str, ...], used: Authorization | None, refused: LaminaError
    ) -> Authorization:
        with self._lock:
            authorization = self._authorizations.get(scopes)
            if authorization and authorization is not used and authorization.fresh():
                return authorization
            self._challenges = challenges
            try:
                return self._authorize(scopes)
            except Unauthorized as error:
                raise Unauthorized(
                    f"{error.message}: {refused.message}", advice=refused.advice, **refused.facts
                ) from error

    def _authorize(self, scopes: tuple[str, ...]) -> Authorization:
        authorization = run_flow(self.endpoint, self._pools, self.settings, self._challenges, self._credentials, scopes)
        self._authorizations[scopes] = authorization
        return authorization

    def resolve(self, target: str, source: str = "") -> str:
        """Return the URL to which an answer from `source` (the endpoint where empty) points: an upload, a further page.

        Raise InvalidInput for other than HTTP URLs, and for leaving TLS. A URL of the registry's own host keeps TLS
        even where it says "http": the registry may not know that a proxy in front of it speaks TLS.
        """
        try:
            url = urljoin(source or self.endpoint.base + "/", target)
            parts, ours = urlsplit(url), urlsplit(self.endpoint.base)
            if parts.scheme == "http" and ours.scheme == "https" and parts.hostname == ours.hostname:
                url = parts._replace(scheme="https", netloc=ours.netloc).geturl()
        except ValueError as error:
            raise InvalidInput(f"{self.endpoint.domain} points to something that is no URL") from error
        self._checked(url)
        if url.startswith("http:") and not (self.endpoint.insecure or self.endpoint.base.startswith("http:")):
            raise InvalidInput(f"{self.endpoint.domain} points from HTTPS to plain HTTP, which is not followed")
        return url

    def _checked(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
                return url
        except ValueError:
            pass
        raise InvalidInput(f"{self.endpoint.domain} points to something that is not HTTP")

    def _follow(
        self, method: str, url: str, headers: dict[str, str], body: Any, authorization: Authorization | None
    ) -> Answer:
        for _ in range(MAX_REDIRECTS):
            ours = same_place(url, self.endpoint.base)
            all_headers = {"User-Agent": self.settings.user_agent, "Accept-Encoding": "identity"} | headers
            if not all_headers.get("Authorization"):
                all_headers.pop("Authorization", None)
            if authorization and ours:
                all_headers["Authorization"] = authorization.value
            answer = send(self._pools, method, url, all_headers, body, sent_by="" if ours else self.endpoint.host)
            location = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not location or method not in ("GET", "HEAD"):
                return answer
            drain(answer)
            url = self.resolve(location, url)
        raise Unavailable(f"{self.endpoint.domain} redirects in a circle")


def send(
    pools: Pools, method: str, url: str, headers: Mapping[str, str], body: Any = None, *, sent_by: str = ""
) -> Answer:
    """Make one request as it is; the body of the answer is not read yet, and never decoded. `sent_by` as for Pools."""
    content = body() if callable(body) else body
    manager = pools.for_url(url, sent_by=sent_by)
    return manager.request(
        method,
        url,
        headers=headers,
        body=content,
        preload_content=False,
        decode_content=False,
        redirect=False,
        retries=False,
    )


def run_flow(
    endpoint: Endpoint,
    pools: Pools,
    settings: Settings,
    challenges: list[Challenge],
    credentials: Credentials | None,
    scopes: Iterable[str],
    *,
    offline: bool = False,
) -> Authorization:
    """Drive `authorize` over real connections, with patience for transient failures of the token server."""
    plain = endpoint.insecure or endpoint.base.startswith("http:")
    flow = authorize(challenges, credentials, scopes, offline=offline, plain=plain)
    try:
        request = next(flow)
        while True:
            request = flow.send(_ask(endpoint, pools, settings, request))
    except StopIteration as done:
        authorization: Authorization = done.value
        return authorization


def _ask(endpoint: Endpoint, pools: Pools, settings: Settings, request: TokenRequest) -> TokenAnswer:
    headers = {"User-Agent": settings.user_agent} | request.headers
    sent_by = "" if same_place(request.url, endpoint.base) else endpoint.host
    body = None
    if request.form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(request.form).encode()
    for attempt in range(1, settings.retry.attempts + 1):
        last = attempt == settings.retry.attempts
        try:
            method = "GET" if request.form is None else "POST"
            answer = send(pools, method, request.url, headers, body, sent_by=sent_by)
            content = read(answer)
        except urllib3.exceptions.HTTPError as error:
            pools.cancellation.check()
            problem = connection_failure(request.url, error)
            if last or problem.facts.get("tls"):
                raise problem from error
        else:
            if last or answer.status not in TRANSIENT:
                return TokenAnswer(answer.status, content)
        settings.retry.pause(pools.cancellation, attempt)
    raise Unavailable("The token server was not asked")


def read(answer: Answer, limit: int = MAX_BODY) -> bytes:
    """Return the whole body, and give the connection back to its pool. Raise InvalidInput above `limit` bytes.

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
    if answer.length_remaining != 0 and not answer.closed:
        answer.close()
    answer.release_conn()


def _unmade(error: Exception) -> bool:
    """Return whether no connection came about at all."""
    return isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def same_place(url: str, base: str) -> bool:
    """Return whether two URLs have the same scheme, host and port, so that secrets for one may go to the other."""
    one, other = (urlsplit(place) for place in (url, base))
    ports = [parts.port or {"http": 80, "https": 443}.get(parts.scheme) for parts in (one, other)]
    return (one.scheme, one.hostname, ports[0]) == (other.scheme, other.hostname, ports[1])


def _as_error(method: str, url: str, answer: Answer) -> LaminaError:
    try:
        body = answer.read(MAX_ERROR_BODY)
    except urllib3.exceptions.HTTPError:
        body = b""
    drain(answer)
    return failure(method, url, answer.status, answer.headers, body)
