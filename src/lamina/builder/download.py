"""Files from the web: what ADD, remote contexts and imports read.

The engine stands inside the machine, so a stranger's answer must not send it further in. What counts is the address
that a connection was made to, not the name in a URL, which may stand for any address.
"""

from __future__ import annotations

import email.utils
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import urllib3

from lamina.cancellation import NEVER, Cancellation
from lamina.distribution.addresses import keeps_credentials, plain_address
from lamina.distribution.answer_errors import connection_failure
from lamina.distribution.pools import Pools
from lamina.distribution.settings import Proxies, Settings
from lamina.errors import Forbidden, InvalidInput, NotFound, Unavailable

_REDIRECTS = 10  # as many as Go's http.Get follows
_SHOWN = 1024  # bytes of an error page


@contextmanager
def download(url: str, cancellation: Cancellation = NEVER) -> Iterator[urllib3.BaseHTTPResponse]:
    """Yield the unread answer to a GET of `url`. Follow redirects, through the proxies of the environment.

    Raise InvalidInput for what is no address, NotFound for status 404 and Unavailable for others from 400, for a place
    that cannot be reached, and for a connection that breaks while the block reads; the message does not name the URL's
    user, password or query. Raise Forbidden where the engine does not fetch from (`destinations`), and Cancelled.
    """
    if not is_address(url):
        raise InvalidInput("the address has no host, or a port that is no number")
    journey = Journey()
    settings = Settings(proxies=Proxies.from_environment(os.environ), certificates=())
    pools = Pools(settings, cancellation, journey.check_address)
    try:
        answer = _follow(pools, journey, url, {"User-Agent": settings.user_agent})
        if answer.status >= 400:
            raise _refused(answer)
        yield answer
    except urllib3.exceptions.HTTPError as error:
        cancellation.check()
        raise connection_failure(url, error) from error
    finally:
        pools.close()


def _follow(pools: Pools, journey: Journey, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
    for _ in range(_REDIRECTS + 1):
        pool = pools.for_url(url)
        journey.set_out(url, proxied=isinstance(pool, urllib3.ProxyManager))
        try:
            answer = pool.request("GET", url, headers=headers, preload_content=False, redirect=False, retries=False)
        except urllib3.exceptions.HTTPError as error:
            pools.cancellation.check()
            raise connection_failure(url, error) from error
        location = answer.get_redirect_location()
        if not location:
            return answer
        answer.close()
        url = journey.redirected(url, location)
    raise Unavailable(f"it redirects more than {_REDIRECTS} times", advice="Check the address")


def modification_time(header: str) -> int | None:
    """Return the seconds since 1970 of a header Last-Modified, None for what is no such time."""
    try:
        return int(email.utils.parsedate_to_datetime(header).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None


def _refused(answer: urllib3.BaseHTTPResponse) -> NotFound | Unavailable:
    body = answer.read(_SHOWN).decode("utf-8", "replace").strip()
    message = f"status {answer.status} {answer.reason or ''}".strip()
    kind = NotFound if answer.status == 404 else Unavailable
    return kind(f"{message}: {body}" if body and "<" not in body else message, status=answer.status)


_SCHEMES = frozenset({"http", "https"})


def is_address(url: str) -> bool:
    """Return whether `url` has a host, and a port that is a number where it has one."""
    try:
        host = urlsplit(url).hostname or ""
        named = "%" not in host or ":" in host  # percent-encoding belongs to the zones of IPv6 addresses only
        return bool(host) and named and urlsplit(url).port != 0
    except ValueError:
        return False


class Journey:
    """The hops of one download: a URL, and those that servers redirect to."""

    def __init__(self) -> None:
        self._outside = False  # whether a server other than this machine's own had a say in where it goes

    def redirected(self, url: str, location: str) -> str:
        """Return where `url` redirects to by its header `location`.

        Raise Forbidden for what is no address of the web, such as a file, and Unavailable for what is none at all.
        """
        source = urlsplit(url).hostname
        try:
            target = urljoin(url, location)
        except ValueError:
            target = ""
        scheme = urlsplit(target).scheme
        if target and scheme not in _SCHEMES:
            raise Forbidden(
                f"{source} redirects to an address of the kind {scheme}:, which is not followed",
                advice="Only http and https are",
            )
        if not is_address(target):
            raise Unavailable(f"{source} redirects to an address that cannot be read")
        return target

    def check_address(self, address: str) -> None:
        """Raise Forbidden for the address of a server that must not be asked. Count others as visited."""
        ip = plain_address(address)
        if keeps_credentials(ip):
            raise Forbidden(
                f"the engine does not fetch from {ip}, where clouds keep credentials of this machine",
                advice="Fetch it in a RUN step, or send it with the context",
                address=str(ip),
            )
        if ip.is_loopback and self._outside:
            raise Forbidden(
                f"a server elsewhere redirects to {ip}, the loopback of this machine",
                advice="Write the address itself if it is meant",
                address=str(ip),
            )
        self._outside = self._outside or not ip.is_loopback

    def set_out(self, url: str, *, proxied: bool) -> None:
        """Begin a hop. Raise Forbidden where its URL holds an address that must not be asked.

        A proxy asks from its own place, and only it knows the address that a name stands for.
        """
        host = urlsplit(url).hostname or ""
        if _is_number(host):
            self.check_address(host)
        self._outside = self._outside or proxied


def _is_number(host: str) -> bool:
    try:
        plain_address(host)
    except ValueError:
        return False
    return True
