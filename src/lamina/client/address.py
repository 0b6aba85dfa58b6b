"""Where a daemon is: the text of `-H`, `LAMINA_HOST` and `DOCKER_HOST` as a value."""

from __future__ import annotations

import os

from lamina.errors import InvalidInput
from lamina.light import NamedTuple

PLAIN_PORT = 2375
TLS_PORT = 2376


class Address(NamedTuple):
    """A parsed host.

    `scheme` is "unix", "tcp" or "ssh". `path` is the socket's file for unix, a URL prefix for tcp. `tls` tells that
    the text itself asked for TLS ("https://").
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    user: str = ""
    tls: bool = False

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{user}{host}:{self.port}{self.path}"


def default_socket() -> str:
    """Return the socket of the default daemon: below /run for root, in the user's runtime directory for everybody else.

    The daemon's own default (`lamina.daemon.config`) is the same.
    """
    if os.geteuid() == 0:
        return "/run/lamina/lamina.sock"
    return f"{os.environ.get('XDG_RUNTIME_DIR') or f'/run/user/{os.geteuid()}'}/lamina/lamina.sock"


def parse_address(text: str, *, tls: bool = False) -> Address:
    """Parse `unix:///path`, `tcp://host[:port][/prefix]`, `http(s)://…`, `ssh://[user@]host[:port]`.

    A text without a scheme is a socket where it begins with a slash, else tcp. A missing port is Docker's 2375, or 2376
    where `tls` is wanted (22 for ssh). Raise InvalidInput for anything else.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "unix" if text.startswith("/") else "tcp", text
    if scheme == "unix":
        if not rest.startswith("/"):
            raise InvalidInput(f"the socket path in {text!r} is not absolute", advice="Write unix:///path/to/socket")
        return Address("unix", path=rest)
    if scheme not in ("tcp", "http", "https", "ssh"):
        raise InvalidInput(f"cannot connect to {text!r}", advice="Hosts start with unix://, tcp:// or ssh://")
    tls = tls or scheme == "https"
    location, _, prefix = rest.partition("/")
    user, _, location = location.rpartition("@")
    default_port = 22 if scheme == "ssh" else TLS_PORT if tls else PLAIN_PORT
    host, port = _host_port(text, location, default_port)
    path = "/" + prefix.strip("/") if prefix.strip("/") else ""
    return Address("ssh" if scheme == "ssh" else "tcp", host, port, path, user, tls)


def _host_port(text: str, location: str, default_port: int) -> tuple[str, int]:
    host, port = location, ""
    if location.startswith("["):
        host, _, port = location[1:].partition("]")
        port = port.removeprefix(":")
    elif ":" in location:
        host, _, port = location.rpartition(":")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise InvalidInput(f"the port in {text!r} is not a number from 1 to 65535")
    return host or "127.0.0.1", int(port) if port else default_port
