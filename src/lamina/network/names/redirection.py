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
from collections.abc import Iterator
from pathlib import Path

from lamina.errors import Unsupported
from lamina.linux import nftables
from lamina.network.namespaces import inside

ADDRESS = "127.0.0.11"  # as dockerd
_PORT = 6  # no service has it (IANA), so containers hardly ever want it, and the rules outlive their sockets
_DOMAIN = 53
_BACKLOG = 64
_TABLE = "lamina-names"
_BEFORE, _AFTER = -300, 300  # priorities of chains: before connection tracking, after all translation
_SOURCE, _DESTINATION = 12, 16  # offsets of addresses in the IPv4 header
_SOURCE_PORT, _DESTINATION_PORT = 0, 2  # and of ports in the headers of UDP and TCP
_CHECKSUMS = {socket.IPPROTO_UDP: 6, socket.IPPROTO_TCP: 16}


def open_sockets(namespace: Path) -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a listening TCP socket that get what a sandbox sends to 127.0.0.11:53.

    Rules that are there already are replaced. Raise Unsupported on a kernel without nftables for IPv4, else OSError.
    """
    with inside(namespace):
        udp, tcp = _bound(socket.SOCK_DGRAM), _bound(socket.SOCK_STREAM)
        try:
            tcp.listen(_BACKLOG)
            _write_rules(udp.getsockname()[1], tcp.getsockname()[1])
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


def _write_rules(udp: int, tcp: int) -> None:
    """Make the table, or another one in its place, which takes the kernel 10 ms."""
    rest = list(_rules(udp, tcp))
    try:
        nftables.commit([nftables.table(_TABLE), *rest])
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise Unsupported(
                "this kernel has no nftables tables of the family ip, which names of containers need",
                advice="Use a kernel with CONFIG_NF_TABLES_IPV4, or the networks host and none",
            ) from None
        if error.errno != errno.EEXIST:
            raise
        # An earlier keeper's table is there.
        gone = (nftables.no_table(_TABLE), nftables.table(_TABLE))
        nftables.commit([nftables.table(_TABLE, exclusive=False), *gone, *rest])


def _rules(udp: int, tcp: int) -> Iterator[nftables.Message]:
    yield nftables.chain(_TABLE, "answers", nftables.OUTPUT, _BEFORE)
    yield nftables.chain(_TABLE, "questions", nftables.OUTPUT, _AFTER)
    for protocol, port in ((socket.IPPROTO_UDP, udp), (socket.IPPROTO_TCP, tcp)):
        yield _rewriting("answers", protocol, _SOURCE, _SOURCE_PORT, port, _DOMAIN)
        yield _rewriting("questions", protocol, _DESTINATION, _DESTINATION_PORT, _DOMAIN, port)


def _rewriting(chain: str, protocol: int, address: int, place: int, port: int, other_port: int) -> nftables.Message:
    """Return a rule that writes `other_port` where our address and `port` stand."""
    return nftables.rule(
        _TABLE,
        chain,
        [
            *nftables.network_bytes_are(address, socket.inet_aton(ADDRESS)),
            *nftables.protocol_is(protocol),
            *nftables.transport_bytes_are(place, port.to_bytes(2, "big")),
            *nftables.set_transport_bytes(place, other_port.to_bytes(2, "big"), _CHECKSUMS[protocol]),
        ],
    )
