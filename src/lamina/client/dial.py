"""Opening a socket to an address: unix, tcp with or without TLS, or through ssh."""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_STREAM  # socket, which adds enums and selectors, takes as long as Python itself
from _socket import socket as Socket

from lamina.errors import Forbidden, InvalidInput, Unavailable
from lamina.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

    from lamina.client.address import Address

# What the far end of ssh runs: lamina's command line where it is installed, else Docker's.
REMOTE_COMMAND = (
    "if command -v lamina >/dev/null; then exec lamina system dial-stdio; else exec docker system dial-stdio; fi"
)


class Tls(NamedTuple):
    """TLS settings: PEM files (empty: none) and whether the server's certificate is checked."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True
    server_name: str = ""


def dial(address: Address, tls: Tls | None, timeout: float) -> Socket:
    """Return a connected blocking socket. `timeout`, in seconds, limits connecting only.

    Raise Unavailable where nothing answers, Forbidden where the socket may not be used, InvalidInput for TLS files
    that cannot be read.
    """
    try:
        if address.scheme == "unix":
            return _dial_unix(address.path, timeout)
        if address.scheme == "ssh":
            return _dial_ssh(address)
        import socket

        sock = socket.create_connection((address.host, address.port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wrapped = _wrap(sock, address, tls or Tls()) if tls or address.tls else sock
    except PermissionError as error:
        advice = "Run it as root, or as a member of the socket's group"
        raise Forbidden(f"permission denied while connecting to {address}", advice=advice) from error
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"cannot connect to the daemon at {address} ({reason})"
        raise Unavailable(message, advice="Is the daemon running?", address=str(address), errno=error.errno) from error
    wrapped.settimeout(None)
    return wrapped


def _dial_unix(path: str, timeout: float) -> Socket:
    sock = Socket(AF_UNIX, SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    sock.settimeout(None)
    return sock


def _dial_ssh(address: Address) -> Socket:
    import socket
    import subprocess

    ours, theirs = socket.socketpair()
    user = ["-l", address.user] if address.user else []
    command = ["ssh", *user, "-p", str(address.port), "-T", "--", address.host, REMOTE_COMMAND]
    with theirs:
        subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), start_new_session=True)
    return ours


def _wrap(sock: Any, address: Address, tls: Tls) -> Socket:
    import ssl

    context = ssl.create_default_context()
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if tls.ca and tls.verify:
            context.load_verify_locations(tls.ca)
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key or None)
    except (OSError, ssl.SSLError) as error:
        sock.close()
        files = ", ".join(os.path.basename(name) for name in (tls.ca, tls.cert, tls.key) if name)
        raise InvalidInput(f"cannot use the TLS files {files} ({error})") from error
    try:
        return context.wrap_socket(sock, server_hostname=tls.server_name or address.host)
    except BaseException:
        sock.close()
        raise
