"""The addresses a daemon serves: Unix sockets with the right owner, TCP with or without TLS."""

from __future__ import annotations

import errno
import grp
import os
import socket
import ssl
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lamina.daemon.config import Options
from lamina.daemon.service_manager import ServiceManager
from lamina.errors import Conflict, InvalidInput, LaminaError, Unavailable
from lamina.linux.files import usual_directory

_SOCKET_MODE = 0o660
BACKLOG = 1024  # connections that wait to be taken


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket, without TLS if `tls` is None. `path` is the file of a Unix socket, which `close` removes."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None
    path: Path | None = None

    def close(self) -> None:
        """Close the socket and remove its file. A second call does nothing."""
        self.socket.close()
        if self.path is not None:
            with suppress(OSError):  # gone already
                self.path.unlink()


def listen(host: str, options: Options, manager: ServiceManager) -> list[Listener]:
    """Bind `unix://PATH` or `tcp://HOST:PORT`, or take the sockets that `manager` passed (`fd://`).

    Raise InvalidInput, Conflict (in use) or Unavailable.
    """
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = "tcp", host
    if scheme == "unix":
        return [_unix(Path(rest), options.group)]
    if scheme == "fd":
        return [Listener(passed) for passed in manager.sockets()]
    if scheme == "tcp":
        return [_tcp(rest, options)]
    raise InvalidInput(f"cannot listen on {host!r}", advice="Hosts start with unix://, tcp:// or fd://")


def unix_path(listeners: Iterable[Listener]) -> str:
    """Return the path of the first Unix socket. Raise InvalidInput where there is none."""
    for listener in listeners:
        if listener.socket.family == socket.AF_UNIX:
            return str(listener.socket.getsockname())
    raise InvalidInput("the dashboard reaches the daemon by a Unix socket", advice="Add --host unix://PATH")


def _unix(path: Path, group: str) -> Listener:
    if not path.is_absolute():
        raise InvalidInput(f"the socket path {path} is not absolute")
    try:
        usual_directory(path.parent)
        _remove_stale(path)
        bound = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)  # nobody may connect before the group is set
        try:
            bound.bind(str(path))
        finally:
            os.umask(before)
        os.chown(path, 0 if os.geteuid() == 0 else -1, _group_id(group))
        path.chmod(_SOCKET_MODE)
        bound.listen(BACKLOG)
    except OSError as error:
        raise _refused(f"unix://{path}", error) from error
    return Listener(bound, path=path)


def _remove_stale(path: Path) -> None:
    """Remove a socket file that a crashed daemon left. Raise Conflict if a daemon listens on it."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise Conflict(f"{path} exists and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise Conflict(f"another daemon listens on {path}")
    path.unlink()


def _group_id(name: str) -> int:
    """Return the group's id: 0 if there is no such group, and -1 (no change) without privileges."""
    if os.geteuid() != 0:
        return -1
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return 0


def listener_names(hosts: Iterable[str]) -> frozenset[str]:
    """Return the names and addresses that the TCP addresses among `hosts` listen on."""
    parts = (host.rpartition("://") for host in hosts)
    return frozenset(_split(rest)[0].lower() for scheme, _, rest in parts if scheme in ("", "tcp"))


def _split(text: str) -> tuple[str, str]:
    """Return the name and the port. Either may be missing."""
    name, _, port = text.rpartition(":") if ":" in text and not text.endswith("]") else (text, "", "")
    return name.strip("[]") or "127.0.0.1", port


def _tcp(text: str, options: Options) -> Listener:
    name, port = _split(text)
    tls = _tls(options)
    if tls is None and options.tls is None:
        raise InvalidInput(
            f"tcp://{text} without TLS makes everybody who can connect to it root",
            advice="Give --tlsverify with certificates, or say --tls=false where that is meant",
        )
    try:
        number = int(port or ("2376" if tls else "2375"))
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        bound = socket.create_server((name, number), family=family, backlog=BACKLOG)
    except ValueError:
        raise InvalidInput(f"the port in tcp://{text} is not a number") from None
    except OSError as error:
        raise _refused(f"tcp://{text}", error) from error
    return Listener(bound, tls=tls)


def _tls(options: Options) -> ssl.SSLContext | None:
    """Return the TLS context, or None. With `tlsverify`, clients need a certificate that `tlscacert` signed."""
    if not (options.tls or options.tlsverify):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.tlscert, options.tlskey)
        if options.tlsverify:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(options.tlscacert)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            f"the TLS files cannot be used: {error}", advice="Give --tlscert, --tlskey and, to verify, --tlscacert"
        ) from error
    return context


def _refused(place: str, error: OSError) -> LaminaError:
    kind = Conflict if error.errno == errno.EADDRINUSE else Unavailable
    return kind(f"cannot listen on {place}: {error.strerror}")
