"""The keeper believes nothing that its server says: whoever took that over must gain nothing by it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.network.names.broker import Untrustworthy, answer_request
from lamina.network.names.protocol import Forwarding, Sandbox, dump_place, receive, send
from lamina.network.names.redirection import open_sockets
from lamina.network.names.state import Served, State
from lamina.network.names.table import Place
from lamina.network.namespaces import inside
from lamina.network.networks import Networks
from network.sandboxes import ask

NAMED = "127.0.0.54"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda more: st.lists(more), max_leaves=4
)
FIELDS = st.dictionaries(st.sampled_from(["op", "number", "sandbox", "server", "stream"]), JSON)


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of the connection between a keeper and its server."""
    keeper, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with keeper, server:
        keeper.settimeout(10)
        server.settimeout(10)
        yield keeper, server


def answered(state: State, request: object) -> socket.socket | None:
    with connected() as (keeper, server):
        server.send(json.dumps(request).encode())
        answer_request(state, keeper)
        received = receive(server)
    assert received is not None
    told, descriptors = received
    assert told == {"op": "socket", "number": 7}
    return socket.socket(fileno=descriptors[0]) if descriptors else None


def asking(**other: object) -> dict[str, object]:
    return {"op": "socket", "number": 7, "sandbox": "asker", "server": NAMED, "stream": False, **other}


@pytest.mark.root
def test_the_server_gets_sockets_to_servers_that_were_named_and_no_others(net: Networks) -> None:
    namespace = net.sandbox("asker")
    plain = net.sandbox("plain")
    state = State()
    here, there = open_sockets(namespace), open_sockets(plain)
    descriptor = os.open(namespace, os.O_RDONLY)
    state.served["asker"] = Served(Sandbox("asker", Forwarding((NAMED,), inside=True)), *here, descriptor)
    state.served["plain"] = Served(Sandbox("plain", Forwarding((NAMED,))), *there)
    with inside(namespace), socket.socket(type=socket.SOCK_DGRAM) as resolver:
        resolver.bind((NAMED, 53))
        resolver.settimeout(10)
        client = answered(state, asking())
        assert client is not None
        with client:
            client.send(b"from inside")
        assert resolver.recv(100) == b"from inside"
    for other in ({"server": "127.0.0.1"}, {"server": ""}, {"sandbox": "plain"}, {"sandbox": "gone"}):
        assert answered(state, asking(**other)) is None
    for served in state.served.values():
        served.close()


@given(FIELDS)
def test_requests_that_are_none_are_refused(fields: dict[str, object]) -> None:
    try:
        assert answered(State(), {**fields, "number": 7} if "number" in fields else fields) is None
    except Untrustworthy:
        return


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b"7", b'"x"', b"\xff", b"[" * 100_000, b'{"number": 1e999, "server": "x"}', b"x" * 150_000]
)
def test_what_is_no_request_ends_the_server(raw: bytes) -> None:
    with connected() as (keeper, server):
        server.send(raw)
        with pytest.raises(Untrustworthy):
            answer_request(State(), keeper)


def test_descriptors_that_the_server_sends_are_closed() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        with connected() as (keeper, server):
            socket.send_fds(server, [json.dumps(asking()).encode()], [0, 0, 0, 0])
            answer_request(State(), keeper)
    assert len(os.listdir("/proc/self/fd")) == before


PROGRAM = """import socket, sys
from lamina.network.names.keeper import Keeper
from lamina.network.names.limits import NameLimits
listening, engine = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
Keeper(listening, "", NameLimits(deserted=0.2)).run(engine)
"""


@pytest.mark.root
def test_without_an_engine_it_ends_with_the_last_process_of_the_sandboxes(net: Networks, tmp_path: Path) -> None:
    namespace = net.sandbox("asker")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening, theirs:
        listening.bind(str(tmp_path / "keeper"))
        listening.listen()
        passed = [listening.fileno(), theirs.fileno()]
        keeper = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, passed)], pass_fds=passed)
    with subprocess.Popen(["nsenter", f"--net={namespace}", "sleep", "1000"]) as inhabitant, keeper:
        with ours:
            udp, tcp = open_sockets(namespace)
            place = Place("asker", "asker", "net", "net", "10.9.8.7", names=("asker",))
            for request, sockets in (
                ({"op": "put", "id": "asker", "place": dump_place(place)}, []),
                ({"op": "serve", "id": "asker", "sandbox": asdict(Sandbox("asker", Forwarding()))}, [udp, tcp]),
            ):
                send(ours, request, [made.fileno() for made in sockets])
                assert receive(ours) == ({}, [])
            udp.close()
            tcp.close()
        for _ in range(5):
            assert ask(namespace, "asker").data == ["10.9.8.7"]
            with pytest.raises(subprocess.TimeoutExpired):
                keeper.wait(0.3)
        inhabitant.kill()
        assert keeper.wait(20) == 0
