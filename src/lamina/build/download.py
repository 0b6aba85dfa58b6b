"""Files from the web: what ADD, remote contexts and imports read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3

from lamina.cancellation import NEVER, Cancellation
from lamina.distribution.answers import connection_failure
from lamina.distribution.pools import Pools
from lamina.distribution.settings import Proxies, Settings
from lamina.errors import NotFound, Unavailable

_REDIRECTS = 10  # as many as Go's http.Get follows
_SHOWN = 1024  # bytes of an error page


@contextmanager
def download(url: str, cancellation: Cancellation = NEVER) -> Iterator[urllib3.BaseHTTPResponse]:
    """The answer to a GET of `url`, not read yet; redirects are followed, through the proxies of the environment.

    Raises NotFound for status 404 and Unavailable for others from 400, for a place that cannot be reached, and for a
    connection that breaks while the block reads; the message does not name the URL's user, password or query.
    Raises Cancelled.
    """
    pools = Pools(Settings(proxies=Proxies.from_environment(os.environ), certificates=()), cancellation)
    try:
        patience = urllib3.Retry(connect=0, read=0, redirect=_REDIRECTS, status=0, other=0)
        answer = pools.for_url(url).request("GET", url, preload_content=False, retries=patience)
        if answer.status >= 400:
            raise _refused(answer)
        yield answer
    except urllib3.exceptions.MaxRetryError as error:
        cancellation.check()
        raise connection_failure(url, error.reason or error) from error
    except urllib3.exceptions.HTTPError as error:
        cancellation.check()
        raise connection_failure(url, error) from error
    finally:
        pools.close()


def _refused(answer: urllib3.BaseHTTPResponse) -> NotFound | Unavailable:
    body = answer.read(_SHOWN).decode("utf-8", "replace").strip()
    message = f"status {answer.status} {answer.reason or ''}".strip()
    kind = NotFound if answer.status == 404 else Unavailable
    return kind(f"{message}: {body}" if body and "<" not in body else message, status=answer.status)
