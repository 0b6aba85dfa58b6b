"""The proxy of published ports: that it carries what it should, and what those who flood it can use up."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from lamina.network.proxy.limits import Limits
from lamina.network.proxy.proxy import Proxy
from network.talk import ask, echo_server
from support.waiting import eventually


def _bound(kind: socket.SocketKind, port: int = 0) -> socket.socket:
    bound = socket.socket(socket.AF_INET6, kind)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("::1", port))
    if kind == socket.SOCK_STREAM:
        bound.listen(1024)
    return bound


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "exec"


@contextmanager
def proxied(folder: Path, kind: socket.SocketKind, target: int, limits: Limits) -> Iterator[tuple[Proxy, int]]:
    """A proxy that serves one port of ::1; the block gets the port's number."""
    proxy = Proxy(folder, limits)
    listening = _bound(kind)
    try:
        proxy.serve(listening, ("127.0.0.1", target))
        yield proxy, listening.getsockname()[1]
    finally:
        proxy.stop(listening)
        proxy.close()


def _free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _process(folder: Path) -> int:
    """The process that serves the proxy of `folder`."""
    lines = ((int(path.parent.name), path.read_bytes()) for path in Path("/proc").glob("[0-9]*/cmdline"))
    return next(pid for pid, line in lines if line.endswith(f"\0lamina {folder}\0".encode()))


def _descriptors(folder: Path) -> int:
    return len(os.listdir(f"/proc/{_process(folder)}/fd"))


@contextmanager
def _server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that hands each connection to `serve`, each in a thread."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        threads = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        acceptor.join()
        for thread in threads:
            thread.join()


def _mirror(connection: socket.socket) -> None:
    """Send everything back, once the client has said all."""
    with connection:
        said = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        connection.sendall(said)


def _wait_for_end(connection: socket.socket) -> None:
    with connection:
        while connection.recv(100):
            pass


def test_streams_arrive_whole_and_end_one_way_at_a_time(folder: Path) -> None:
    sent = os.urandom(8 << 20)
    with _server(_mirror) as target, proxied(folder, socket.SOCK_STREAM, target, Limits()) as (_, port):
        with socket.create_connection(("::1", port), timeout=20) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: client.recv(1 << 20), b"")) == sent


def test_datagrams_find_their_way_back(folder: Path) -> None:
    target = _free_port(socket.SOCK_DGRAM)
    with echo_server(None, "127.0.0.1", target, udp=True):
        with proxied(folder, socket.SOCK_DGRAM, target, Limits()) as (_, port):
            assert [ask("::1", port, udp=True) for _ in range(5)] == ["127.0.0.1"] * 5


def test_a_port_is_free_when_its_service_has_ended(folder: Path) -> None:
    proxy = Proxy(folder)
    listening = _bound(socket.SOCK_STREAM)
    port = listening.getsockname()[1]
    for _ in range(3):
        proxy.serve(listening, ("127.0.0.1", 1))
        proxy.stop(listening)
        listening = _bound(socket.SOCK_STREAM, port)
    listening.close()
    proxy.close()
    proxy.close()


def test_made_up_senders_do_not_displace_one_that_is_answered(folder: Path) -> None:
    limits = Limits(port_conversations=50, unanswered_conversation=0.5)
    target = _free_port(socket.SOCK_DGRAM)
    with ExitStack() as senders, proxied(folder, socket.SOCK_DGRAM, target, limits) as (_, port):
        honest = senders.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        honest.settimeout(5)
        honest.connect(("::1", port))
        server = senders.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.settimeout(5)
        server.bind(("127.0.0.1", target))
        honest.send(b"first")
        _, back = server.recvfrom(100)
        server.sendto(b"answer", back)
        assert honest.recv(100) == b"answer"
        resting = _descriptors(folder)

        seen = set()
        for _ in range(500):
            sender = senders.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            sender.sendto(b"flood", ("::1", port))
            seen.add(server.recvfrom(100)[1])
        assert len(seen) > 50, "each is carried, while it lasts"
        assert _descriptors(folder) <= resting + limits.port_conversations
        honest.send(b"second")
        assert server.recvfrom(100) == (b"second", back)

        eventually(lambda: _descriptors(folder) <= resting)


def test_conversations_of_all_ports_are_limited(folder: Path) -> None:
    limits = Limits(port_conversations=50, conversations=60)
    with ExitStack() as stack:
        proxy = Proxy(folder, limits)
        stack.callback(proxy.close)
        ports = [_bound(socket.SOCK_DGRAM) for _ in range(3)]
        server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.settimeout(5)
        server.bind(("127.0.0.1", 0))
        for port in ports:
            stack.callback(proxy.stop, port)
            proxy.serve(port, server.getsockname())
        for port in ports:
            for _ in range(50):
                sender = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
                sender.sendto(b"flood", port.getsockname())
                server.recvfrom(100)
        assert _descriptors(folder) < 60 + 20


def test_connections_above_the_limit_wait_for_others_to_end(folder: Path) -> None:
    limits = Limits(port_connections=20)
    with _server(_wait_for_end) as target, proxied(folder, socket.SOCK_STREAM, target, limits) as (_, port):
        with ExitStack() as flood:
            for _ in range(200):
                flood.enter_context(socket.create_connection(("::1", port), timeout=5))
            eventually(lambda: _descriptors(folder) >= 2 * 20)
            assert _descriptors(folder) < 2 * 20 + 20
        with socket.create_connection(("::1", port), timeout=10) as late:
            late.shutdown(socket.SHUT_WR)
            assert late.recv(1) == b""
        eventually(lambda: _descriptors(folder) < 20)


def test_a_silent_connection_gives_way_and_ends_at_last(folder: Path) -> None:
    limits = Limits(port_connections=2, yielding_connection=0.0, idle_connection=1.0)
    with _server(_wait_for_end) as target, proxied(folder, socket.SOCK_STREAM, target, limits) as (_, port):
        with ExitStack() as stack:
            first, second, third = (
                stack.enter_context(socket.create_connection(("::1", port), timeout=5)) for _ in range(3)
            )
            assert first.recv(1) == b"", "it made room for the third"
            for silent in (second, third):
                assert silent.recv(1) == b""


def test_one_who_does_not_read_needs_little_memory(folder: Path) -> None:
    sent: list[int] = []
    stuck = threading.Event()

    def pour(connection: socket.socket) -> None:
        connection.settimeout(1)
        with connection, suppress(TimeoutError):
            while sum(sent) < 512 << 20:
                sent.append(connection.send(b"x" * (1 << 20)))
        stuck.set()

    with _server(pour) as target, proxied(folder, socket.SOCK_STREAM, target, Limits()) as (_, port):
        with socket.create_connection(("::1", port), timeout=5) as client:
            assert client.recv(1) == b"x"
            assert stuck.wait(30)
            status = Path(f"/proc/{_process(folder)}/status").read_text()
    assert sum(sent) < 64 << 20
    assert int(status.split("VmHWM:")[1].split()[0]) < 64 << 10


def test_what_happens_often_is_logged_once_with_a_number(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    limits = Limits(port_conversations=1, quiet=1.0)
    target = _free_port(socket.SOCK_DGRAM)
    with ExitStack() as stack, proxied(folder, socket.SOCK_DGRAM, target, limits) as (_, port):
        for _ in range(2000):
            sender = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            sender.sendto(b"flood", ("::1", port))
        log = ""

        def counted() -> bool:
            nonlocal log
            log += capfd.readouterr().err
            return "times more" in log

        eventually(counted)
    assert "WARNING lamina.network.proxy: a published UDP port has more senders than it may" in log
    assert len(log.splitlines()) < 10


def test_a_killed_process_is_replaced(folder: Path) -> None:
    target = _free_port()
    with echo_server(None, "127.0.0.1", target), proxied(folder, socket.SOCK_STREAM, target, Limits()) as (_, port):
        assert ask("::1", port) == "127.0.0.1"
        killed = _process(folder)
        os.kill(killed, 9)

        assert ask("::1", port) == "127.0.0.1"
        assert _process(folder) != killed


def test_the_next_engine_waits_until_the_ports_are_free(folder: Path) -> None:
    """An engine that is killed takes the proxy with it, but not at the same moment."""
    program = (
        "import signal, socket, sys\nfrom pathlib import Path\nfrom lamina.network.proxy.proxy import Proxy\n"
        "bound = socket.create_server(('::1', 0), family=socket.AF_INET6)\n"
        "Proxy(Path(sys.argv[1])).serve(bound, ('127.0.0.1', 1))\n"
        "print(bound.getsockname()[1], flush=True)\nsignal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        port = int(engine.stdout.readline())
        with socket.create_connection(("::1", port), timeout=10) as client:
            assert client.recv(1) == b"", "the proxy is there, and nobody listens at its target"
        engine.kill()
    proxy = Proxy(folder)
    proxy.settle()
    _bound(socket.SOCK_STREAM, port).close()
    proxy.close()


@pytest.mark.root
def test_the_process_has_no_privileges(folder: Path) -> None:
    target = _free_port()
    with echo_server(None, "127.0.0.1", target), proxied(folder, socket.SOCK_STREAM, target, Limits()) as (_, port):
        assert ask("::1", port) == "127.0.0.1"
        rows = dict(line.split(":\t", 1) for line in Path(f"/proc/{_process(folder)}/status").read_text().splitlines())
    assert set(rows["Uid"].split()) == set(rows["Gid"].split()) == {"65534"}
    assert rows["Groups"].split() == []
    assert int(rows["CapEff"], 16) == int(rows["CapPrm"], 16) == 0
    assert rows["NoNewPrivs"] == "1"
