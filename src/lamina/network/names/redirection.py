"""The two sockets of a sandbox, and how questions to 127.0.0.11:53 reach them.

A container must be able to listen on port 53 of all its addresses, so the sockets are bound to another port. Rules in
the sandbox's own network namespace write that port into questions, and port 53 into answers. They do this without
connection tracking: a sandbox that needs none has none, and a flood of questions fills no table.

Questions are rewritten after a container's own address translation, and answers before it, so that its rules and its
connection tracking only ever see port 53.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from lamina.network.firewall import open_nft
from lamina.network.namespaces import inside

ADDRESS = "127.0.0.11"  # as dockerd
_PORT = 6  # no service has it (IANA), so containers hardly ever want it, and the rules outlive their sockets
_BACKLOG = 64
_TABLE = """\
add table ip lamina-names
delete table ip lamina-names
table ip lamina-names {{
  chain answers {{
    type filter hook output priority raw; policy accept;
    ip saddr {address} udp sport {udp} udp sport set 53
    ip saddr {address} tcp sport {tcp} tcp sport set 53
  }}
  chain questions {{
    type filter hook output priority 300; policy accept;
    ip daddr {address} udp dport 53 udp dport set {udp}
    ip daddr {address} tcp dport 53 tcp dport set {tcp}
  }}
}}
"""


def open_sockets(namespace: Path) -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a listening TCP socket that get what a sandbox sends to 127.0.0.11:53.

    Rules that are there already are replaced. Raise OSError, and Internal with the words of nftables.
    """
    with inside(namespace):
        udp, tcp = _bound(socket.SOCK_DGRAM), _bound(socket.SOCK_STREAM)
        try:
            tcp.listen(_BACKLOG)
            nft = open_nft()
            try:
                nft.run(_TABLE.format(address=ADDRESS, udp=udp.getsockname()[1], tcp=tcp.getsockname()[1]))
            finally:
                nft.close()
        except BaseException:
            udp.close()
            tcp.close()
            raise
    return udp, tcp


def _bound(kind: socket.SocketKind) -> socket.socket:
    """Return a socket at our port, or at any one where a container has taken that."""
    bound = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    if kind == socket.SOCK_STREAM:  # connections that linger from before do not stand in the way
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((ADDRESS, _PORT))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            bound.close()
            raise
        bound.bind((ADDRESS, 0))
    return bound
