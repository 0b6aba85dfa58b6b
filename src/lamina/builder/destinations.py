"""Where the engine fetches from: it stands inside the machine, so a stranger's answer must not send it further in.

What counts is the address that a connection was made to, not the name in a URL, which may stand for any address.
"""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from lamina.distribution.addresses import keeps_credentials, plain_address
from lamina.errors import Forbidden, Unavailable

_SCHEMES = frozenset({"http", "https"})


def is_address(url: str) -> bool:
    """Whether `url` has a host, and a port that is a number where it has one."""
    try:
        return bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        return False


class Journey:
    """The hops of one download: a URL, and those that servers redirect to."""

    def __init__(self) -> None:
        self._outside = False  # whether a server other than this machine's own had a say in where it goes

    def redirected(self, url: str, location: str) -> str:
        """Return where `url` redirects to by its header `location`.

        Raises Forbidden for what is no address of the web, such as a file, and Unavailable for what is none at all.
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
        """Raise Forbidden for the address of a server that must not be asked; it counts as visited otherwise."""
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
        """Begin a hop. Raises Forbidden where its URL holds an address that must not be asked.

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
