"""Files from the web: what ADD, remote contexts and imports read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3

from lamina.builder.destinations import Journey, is_address
from lamina.cancellation import NEVER, Cancellation
from lamina.distribution.answers import connection_failure
from lamina.distribution.pools import Pools
from lamina.distribution.settings import Proxies, Settings
from lamina.errors import InvalidInput, NotFound, Unavailable

_REDIRECTS = 10  # as many as Go's http.Get follows
_SHOWN = 1024  # bytes of an error page


@contextmanager
def download(url: str, cancellation: Cancellation = NEVER) -> Iterator[urllib3.BaseHTTPResponse]:
    """Yield the answer to a GET of `url`, not read yet; redirects are followed, through proxies of the environment.

    Raises InvalidInput for what is no address, NotFound for status 404 and Unavailable for others from 400, for a place
    that cannot be reached, and for a connection that breaks while the block reads; the message does not name the URL's
    user, password or query. Raises Forbidden where the engine does not fetch from (`destinations`), and Cancelled.
    """
    if not is_address(url):
        raise InvalidInput("the address has no host, or a port that is no number")
    journey = Journey()
    settings = Settings(proxies=Proxies.from_environment(os.environ), certificates=())
    pools = Pools(settings, cancellation, journey.check_address)
    try:
        answer = _follow(pools, journey, url)
        if answer.status >= 400:
            raise _refused(answer)
        yield answer
    except urllib3.exceptions.HTTPError as error:
        cancellation.check()
        raise connection_failure(url, error) from error
    finally:
        pools.close()


def _follow(pools: Pools, journey: Journey, url: str) -> urllib3.BaseHTTPResponse:
    for _ in range(_REDIRECTS + 1):
        pool = pools.for_url(url)
        journey.set_out(url, proxied=isinstance(pool, urllib3.ProxyManager))
        try:
            answer = pool.request("GET", url, preload_content=False, redirect=False, retries=False)
        except urllib3.exceptions.HTTPError as error:
            pools.cancellation.check()
            raise connection_failure(url, error) from error
        location = answer.get_redirect_location()
        if not location:
            return answer
        answer.close()
        url = journey.redirected(url, location)
    raise Unavailable(f"it redirects more than {_REDIRECTS} times", advice="Check the address")


def _refused(answer: urllib3.BaseHTTPResponse) -> NotFound | Unavailable:
    body = answer.read(_SHOWN).decode("utf-8", "replace").strip()
    message = f"status {answer.status} {answer.reason or ''}".strip()
    kind = NotFound if answer.status == 404 else Unavailable
    return kind(f"{message}: {body}" if body and "<" not in body else message, status=answer.status)
