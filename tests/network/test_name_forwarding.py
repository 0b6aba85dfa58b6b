"""Questions about other names: to whom they go, what comes back, and what happens when nobody answers."""

from __future__ import annotations

import secrets
import socket
import struct
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from lamina.network.names.protocol import Forwarding
from lamina.network.namespaces import inside
from lamina.network.networks import Networks
from network.sandboxes import ask, join
from network.upstream import Upstream, answer_with, upstream
from support import dns
from support.waiting import eventually

pytestmark = pytest.mark.root

FIRST, SECOND = "192.0.2.53", "192.0.2.54"
HERE, THERE = "198.51.100.1", "198.51.100.2"
BOTH = pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])


@BOTH
@pytest.mark.parametrize("address", [FIRST, "127.0.0.53"])
def test_the_hosts_servers_are_asked_from_the_host(net: Networks, address: str, tcp: bool) -> None:
    with upstream(address, answer_with(HERE)) as outside:
        asker = join(net, "asker", "front", forwarding=Forwarding((address,)))
        answer = ask(asker, "example.org", tcp=tcp)
    assert (answer.code, answer.data) == (dns.NOERROR, [HERE])
    assert (len(outside.by_udp), len(outside.by_tcp)) == ((0, 1) if tcp else (1, 0))


@BOTH
def test_questions_and_answers_pass_untouched_but_for_their_id(net: Networks, tcp: bool) -> None:
    raw = dns.question("MiXeD.example", 65280, edns=4096)
    end = len(raw) - 11
    option = struct.pack("!HHIH", dns.OPT, 4096, 0x8000, 12) + struct.pack("!HH", 10, 8) + b"a cookie"
    raw = raw[:end] + b"\0" + option
    body = raw[12:end] + b"\xc0\x0c" + struct.pack("!HHIH", 65280, 1, 7, 3000) + secrets.token_bytes(3000)

    def answer(question: bytes) -> bytes:
        return question[:2] + struct.pack("!HHHHH", 0x85B3, 1, 1, 0, 0) + body

    with upstream(FIRST, answer) as outside:
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST,)))
        with inside(asker):
            received = dns.ask_raw(raw, tcp=tcp)
    (asked,) = outside.by_tcp if tcp else outside.by_udp
    assert asked[2:] == raw[2:]
    assert received == answer(raw)


def test_a_truncated_answer_makes_the_client_ask_by_tcp(net: Networks) -> None:
    with upstream(FIRST, answer_with(flags=0x200)):
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST,)))
        assert ask(asker, "example.org").truncated
    with upstream(FIRST, answer_with(*[HERE] * 2000)):
        assert len(ask(asker, "example.org", tcp=True).data) == 2000


@BOTH
@pytest.mark.parametrize("code", [dns.SERVFAIL, dns.REFUSED])
def test_the_next_server_is_asked_when_one_fails(net: Networks, code: int, tcp: bool) -> None:
    with upstream(FIRST, answer_with(code=code)) as first, upstream(SECOND, answer_with(HERE)):
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST, SECOND)))
        assert ask(asker, "example.org", tcp=tcp).data == [HERE]
    assert first.by_udp or first.by_tcp


@BOTH
def test_the_next_server_is_asked_when_nobody_listens_at_one(net: Networks, tcp: bool) -> None:
    with upstream(FIRST, answer_with(HERE)):
        asker = join(net, "asker", "front", forwarding=Forwarding(("127.0.0.77", FIRST)))
        assert ask(asker, "example.org", tcp=tcp).data == [HERE]


def test_a_silent_server_is_not_waited_for_and_then_asked_last(net: Networks) -> None:
    with upstream(FIRST, lambda raw: None) as first, upstream(SECOND, answer_with(HERE)) as second:
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST, SECOND)))
        assert ask(asker, "one.example").data == [HERE]
        count = len(first.by_udp)
        for number in range(5):
            assert ask(asker, f"{number}.example").data == [HERE]
        assert len(first.by_udp) == count == 1
        assert len(second.by_udp) == 6


def test_a_slow_server_still_counts(net: Networks) -> None:
    asked_second = threading.Event()

    def slow(raw: bytes) -> bytes | None:
        asked_second.wait(20)
        return answer_with(HERE)(raw)

    def silent(raw: bytes) -> None:
        asked_second.set()

    with upstream(FIRST, slow), upstream(SECOND, silent):
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST, SECOND)))
        assert ask(asker, "example.org", timeout=20).data == [HERE]


@BOTH
def test_a_name_that_does_not_exist_does_not_exist(net: Networks, tcp: bool) -> None:
    with upstream(FIRST, answer_with(code=dns.NXDOMAIN)), upstream(SECOND, answer_with(HERE)) as second:
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST, SECOND)))
        assert ask(asker, "example.org", tcp=tcp).code == dns.NXDOMAIN
    assert not second.by_udp + second.by_tcp


@BOTH
@pytest.mark.parametrize("servers", [(), ("127.0.0.77",), ("127.0.0.77", "127.0.0.78"), (FIRST,)])
def test_when_nobody_answers_the_client_hears_of_it(net: Networks, servers: tuple[str, ...], tcp: bool) -> None:
    with upstream(FIRST, lambda raw: None):
        asker = join(net, "asker", "front", forwarding=Forwarding(servers))
        assert ask(asker, "example.org", tcp=tcp, timeout=15).code == dns.SERVFAIL


def test_forged_answers_are_ignored(net: Networks) -> None:
    """They come from the right place, but have another ID, question or kind: an attacker cannot do better."""
    real = answer_with(HERE)

    def forger(server: socket.socket) -> None:
        raw, client = server.recvfrom(65535)
        lie = answer_with(THERE)
        other = raw[:12] + raw[12:].replace(b"example", b"another")
        wrong_id = bytes([raw[0] ^ 1]) + raw[1:]
        for forged in (lie(wrong_id), lie(other), raw, lie(raw)[:11], b"", lie(raw)[:20], real(raw)):
            server.sendto(forged, client)

    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.60", 53))
        thread = threading.Thread(target=forger, args=(server,))
        thread.start()
        asker = join(net, "asker", "front", forwarding=Forwarding(("127.0.0.60",)))
        assert ask(asker, "www.example").data == [HERE]
        thread.join()


def test_many_questions_are_under_way_at_once_and_repeated_ones_are_asked_once(net: Networks) -> None:
    with upstream(FIRST, lambda raw: None) as outside:
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST,)))
        with inside(asker), socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect((dns.SERVER, 53))
            client.settimeout(10)
            questions = [dns.question(f"{number}.example", id=number) for number in range(200)]
            for raw in questions * 2:
                client.send(raw)
            eventually(lambda: len(outside.by_udp) == 200)
            outside.behave = answer_with(HERE)
            client.send(dns.question("last.example", id=999))
            assert dns.parse(client.recv(512)).id == 999
    assert {raw[12:] for raw in outside.by_udp[:200]} == {raw[12:] for raw in questions}
    ids = {raw[:2] for raw in outside.by_udp}
    assert len(ids) > 150, "IDs are made anew, and hard to guess"


def test_a_tcp_connection_asks_many_and_is_answered_each(net: Networks) -> None:
    with upstream(FIRST, answer_with(HERE)):
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST,)))
        with inside(asker), socket.create_connection((dns.SERVER, 53), timeout=10) as client:
            names = ["asker", "www.example", "asker.front", "other.example"] * 5
            framed = [dns.question(name, id=number) for number, name in enumerate(names)]
            client.sendall(b"".join(len(raw).to_bytes(2, "big") + raw for raw in framed))
            client.shutdown(socket.SHUT_WR)
            data = b"".join(iter(lambda: client.recv(65536), b""))
    answers = {}
    while data:
        length = int.from_bytes(data[:2], "big")
        answer = dns.parse(data[2 : 2 + length])
        answers[answer.id] = answer.data
        data = data[2 + length :]
    own = [endpoint.ip for endpoint in net.endpoints("front")]
    assert answers == {number: [HERE] if "example" in name else own for number, name in enumerate(names)}


@BOTH
def test_servers_that_a_user_named_are_asked_from_inside(net: Networks, tcp: bool) -> None:
    resolver = join(net, "resolver", "shut")
    (address,) = [endpoint.ip for endpoint in net.joined("resolver")]
    with ExitStack() as closing:
        with inside(resolver):
            own = closing.enter_context(upstream(address, answer_with(HERE)))
        asker = join(net, "asker", "shut", forwarding=Forwarding((address,), inside=True))
        answers = [ask(asker, f"{number}.example", tcp=tcp).data for number in range(10)]
    assert answers == [[HERE]] * 10
    assert len(own.by_tcp if tcp else own.by_udp) == 10


def test_a_named_server_on_the_loopback_is_the_sandboxes_own(net: Networks) -> None:
    with ExitStack() as closing:
        hosts = closing.enter_context(upstream("127.0.0.53", answer_with(THERE)))
        asker = join(net, "asker", "front", forwarding=Forwarding(("127.0.0.53",), inside=True))
        with inside(asker):
            own = closing.enter_context(upstream("127.0.0.53", answer_with(HERE)))
        assert ask(asker, "www.example").data == [HERE]
    assert (len(own.by_udp), len(hosts.by_udp)) == (1, 0)


def test_from_internal_networks_the_hosts_servers_are_not_asked(net: Networks) -> None:
    with upstream("127.0.0.53", answer_with(HERE)) as hosts:
        asker = join(net, "asker", "shut", forwarding=Forwarding(("127.0.0.53",)))
        assert ask(asker, "asker").code == dns.NOERROR
        assert ask(asker, "www.example").code == dns.SERVFAIL
        join(net, "asker", "front")
        assert ask(asker, "www.example").data == [HERE]
        net.leave("asker", "front")
        assert ask(asker, "www.example").code == dns.SERVFAIL
        join(net, "asker", "bridge")
        assert ask(asker, "www.example").data == [HERE]
    assert len(hosts.by_udp) == 2


def test_with_ndots_short_names_are_left_to_the_search_list(net: Networks) -> None:
    with upstream(FIRST, answer_with(HERE)) as outside:
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST,), ndots=True))
        for type in (dns.A, dns.AAAA):
            answer = ask(asker, "short", type)
            assert (answer.code, answer.data) == (dns.NOERROR, [])
        assert ask(asker, "short.example").data == [HERE]
        assert ask(asker, "asker").data
    assert len(outside.by_udp) == 1


def counted(server: Upstream) -> int:
    return len(server.by_udp) + len(server.by_tcp)


def test_a_sandbox_that_goes_leaves_no_question_behind(net: Networks, exec_root: Path) -> None:
    with upstream(FIRST, lambda raw: None) as outside:
        asker = join(net, "asker", "front", forwarding=Forwarding((FIRST,)))
        other = join(net, "other", "front", forwarding=Forwarding((FIRST,)))
        with inside(asker), socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect((dns.SERVER, 53))
            for number in range(50):
                client.send(dns.question(f"{number}.example"))
            eventually(lambda: counted(outside) == 50)
        net.leave("asker")
        outside.behave = answer_with(HERE)
        assert ask(other, "www.example").data == [HERE]
