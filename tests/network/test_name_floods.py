"""The name server under attack by containers: it lives, tells nothing, and answers the others."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from lamina.network.model import EndpointOptions
from lamina.network.names.limits import NameLimits
from lamina.network.names.protocol import Forwarding
from lamina.network.namespaces import inside
from lamina.network.networks import Networks
from network.sandboxes import addresses, ask, join, keepers
from network.upstream import Upstream, answer_with, upstream
from support import dns
from support.waiting import eventually

pytestmark = pytest.mark.root

TESTS = Path(__file__).parents[1]
OUTSIDE, HERE = "192.0.2.53", "198.51.100.1"
ATTACKERS = 4
PACKETS = int(os.environ.get("LAMINA_NAME_PACKETS", "100000"))
DELUGE = """import socket, sys
client = socket.socket(type=socket.SOCK_DGRAM)
client.connect(("127.0.0.11", 53))
while True:
    client.send(bytes.fromhex(sys.argv[1]))
"""
MEMORY = 64 << 20  # bytes that the server may have, its interpreter included


def memory_of(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def flooder(namespace: Path, count: int, seed: int, *names: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "network.name_flood", str(count), str(seed), *names]
    return subprocess.Popen(
        ["nsenter", f"--net={namespace}", *program], stdout=subprocess.PIPE, text=True, cwd=TESTS, env={**os.environ}
    )


def test_a_hundred_thousand_packets_do_no_harm_and_learn_nothing(net: Networks, exec_root: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    guest = join(net, "guest", "front")
    join(net, "secret", "back", names=("hidden",))
    (hidden,) = addresses(net, "secret")
    names = ("guest", "secret", "hidden", "secret.back", dns.reverse(hidden), "www.example", "front")
    attackers = [join(net, f"attacker{number}", "front") for number in range(ATTACKERS)]
    ask(guest, "guest")
    server = keepers(exec_root)["lamina-names"]
    programs = [
        flooder(attacker, PACKETS // ATTACKERS, seed + number, *names) for number, attacker in enumerate(attackers)
    ]
    try:
        for number in range(200):
            assert ask(guest, "guest", tcp=number % 2 == 0, timeout=5).data == addresses(net, "guest")
        outputs = [program.communicate(timeout=240)[0] for program in programs]
    finally:
        for program in programs:
            program.kill()
            program.wait()
    assert [program.returncode for program in programs] == [0] * ATTACKERS
    assert all(addresses(net, "guest")[0] in output for output in outputs)
    assert not any(hidden in output or "secret" in output for output in outputs)
    assert keepers(exec_root)["lamina-names"] == server
    assert memory_of(server) < MEMORY


@contextmanager
def deluge(namespace: Path, raw: bytes, processes: int) -> Iterator[None]:
    """Processes that send one packet as fast as they can."""
    line = ["nsenter", f"--net={namespace}", sys.executable, "-c", DELUGE, raw.hex()]
    senders = [subprocess.Popen(line, stderr=subprocess.DEVNULL) for _ in range(processes)]
    try:
        yield
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()


@pytest.mark.parametrize("name", ["attacker", "www.example"], ids=["own name", "outside"])
def test_a_flood_of_one_container_does_not_keep_others_from_their_answers(net: Networks, name: str) -> None:
    with upstream(OUTSIDE, answer_with(HERE)):
        guest = join(net, "guest", "front", forwarding=Forwarding((OUTSIDE,)))
        attacker = join(net, "attacker", "front", forwarding=Forwarding((OUTSIDE,)))
        with deluge(attacker, dns.question(name), 2):
            for _ in range(100):
                assert ask(guest, "guest", timeout=5).data == addresses(net, "guest")
                assert ask(guest, "other.example", timeout=5).data == [HERE]
                assert ask(guest, "guest", tcp=True, timeout=5).data == addresses(net, "guest")


def came(server: Upstream, count: int) -> bool:
    return len(server.by_udp) >= count


def test_questions_under_way_are_bounded_for_each_container(net: Networks) -> None:
    most = NameLimits().sandbox_questions
    with upstream(OUTSIDE, lambda raw: None) as outside:
        attacker = join(net, "attacker", "front", forwarding=Forwarding((OUTSIDE,)))
        guest = join(net, "guest", "front", forwarding=Forwarding((OUTSIDE,)))
        refused = 0
        with inside(attacker), socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect((dns.SERVER, 53))
            client.setblocking(False)
            for number in range(most + 300):
                client.send(dns.question(f"{number}.example"))
                eventually(partial(came, outside, min(number + 1, most)))
                with suppress(BlockingIOError):
                    while True:
                        refused += dns.parse(client.recv(512)).code == dns.SERVFAIL
            assert len(outside.by_udp) <= most + most // 10  # a few may have timed out while the others were sent
            client.settimeout(10)
            while refused < 300:
                refused += dns.parse(client.recv(512)).code == dns.SERVFAIL
        outside.behave = answer_with(HERE)
        assert ask(guest, "www.example").data == [HERE]


def test_connections_are_bounded_and_the_silent_make_room(net: Networks) -> None:
    attacker, guest = join(net, "attacker", "front"), join(net, "guest", "front")
    with ExitStack() as closing:
        with inside(attacker):
            clients = []
            for _ in range(NameLimits().sandbox_connections * 4):
                clients.append(closing.enter_context(socket.create_connection((dns.SERVER, 53), timeout=10)))
                clients[-1].sendall(b"\0\x20half a question")
            assert dns.ask("attacker", tcp=True).data == addresses(net, "attacker")
        assert ask(guest, "guest", tcp=True).data == addresses(net, "guest")
        eventually(lambda: ended(clients[0]))


def ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_clients_by_tcp_that_break_the_rules_are_left(net: Networks) -> None:
    attacker = join(net, "attacker", "front")
    for data in (b"\0\0", b"\0\x05abcde", b"\xff\xff" + bytes(5000), b"\0\x0c" + bytes(2) + b"\x80" + bytes(9)):
        with inside(attacker), socket.create_connection((dns.SERVER, 53), timeout=10) as client:
            with suppress(OSError):  # it may be left before all was sent
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
            assert ended(client), data
    with inside(attacker), socket.create_connection((dns.SERVER, 53), timeout=10) as client:
        client.sendall(b"\0\x0d" + dns.question("x")[:13])
        assert dns.parse(dns.receive_framed(client)).code == dns.FORMERR


def test_a_client_that_reads_no_answers_is_not_read_from(net: Networks, exec_root: Path) -> None:
    attacker, guest = join(net, "attacker", "front"), join(net, "guest", "front")
    for number in range(60):
        net.join(f"replica{number}", "front", EndpointOptions(names=(f"replica{number}", "all")))
    raw = dns.question("all")
    with inside(attacker), socket.create_connection((dns.SERVER, 53)) as client:
        client.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(1_000_000):
                client.send((len(raw).to_bytes(2, "big") + raw) * 100)
        assert ask(guest, "guest", timeout=5).data
        assert memory_of(keepers(exec_root)["lamina-names"]) < MEMORY
