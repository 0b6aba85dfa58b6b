"""lamina's registry beside Debian's docker-registry: both up at once on local files, taking turns, in one run.

Run by `make bench-registry`. Needs the package docker-registry. Each figure is the median over the rounds, each ratio
the median of the rounds' ratios. The last columns tell what CPU time (user and system) the servers took for one
request, or for a large blob: a busy machine changes them little. Traffic goes over loopback only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

CONNECTIONS = 8
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TICK = os.sysconf("SC_CLK_TCK")
SINK = bytearray(1 << 20)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
LOCATION = re.compile(rb"\r\nlocation: *(?:http://[^/]+)?([^\r]+)", re.I)


@dataclass(frozen=True)
class Server:
    """A registry that runs: its name, port and process."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def settled(self) -> None:
        """Return once it neither reads nor writes files any more, so that it does not disturb the other's turn."""
        before = None
        while (now := Path(f"/proc/{self.process.pid}/io").read_text()) != before:
            before = now
            time.sleep(0.1)  # there is no event for "idle now"

    def cpu(self) -> float:
        """Seconds of CPU time it took so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


class Connection:
    """The least that speaks HTTP, so that the client is no bottleneck."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *parts: bytes | memoryview) -> None:
        for part in parts:
            self._socket.sendall(part)

    def receive(self, status: bytes) -> bytes:
        """The head of an answer, which must have `status`. The kernel drops its body (tcp(7), MSG_TRUNC)."""
        got = self._socket.recv(65536)
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += self._socket.recv(65536)
        head = got[:end]
        if head[9:12] != status:
            raise SystemExit(f"not {status.decode()}: {head.decode()}")
        found = LENGTH.search(head)
        left = int(found[1]) - (len(got) - end - 4) if found else 0
        while left > 0:
            left -= self._socket.recv_into(SINK, min(left, len(SINK)), socket.MSG_TRUNC)
        return head


def request(method: str, path: str, length: int = 0, kind: str = "") -> bytes:
    """The head of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {MANIFEST}\r\nContent-Length: {length}\r\n"
    return (head + (f"Content-Type: {kind}\r\n\r\n" if kind else "\r\n")).encode()


def push(connections: Sequence[Connection], contents: Sequence[bytes], digests: Sequence[str]) -> None:
    """Push a blob over each connection as most clients do: POST for a place, then PUT."""
    for connection in connections:
        connection.send(request("POST", "/v2/bench/blobs/uploads/"))
    for connection, content, digest in zip(connections, contents, digests, strict=True):
        found = LOCATION.search(connection.receive(b"202"))
        assert found is not None
        place = found[1].decode()
        path = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        head = request("PUT", path, len(content), "application/octet-stream")
        connection.send(*((head + content,) if len(content) < 65536 else (head, memoryview(content))))
    for connection in connections:
        connection.receive(b"201")


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Figure(NamedTuple):
    """What one turn gave: the rate, the server's CPU seconds for one unit of work, the client's share of a CPU."""

    rate: float
    cpu: float
    client: float


def timed(server: Server, work: Callable[[], float], seconds: float) -> Figure:
    """Do `work`, which tells how many units it did, again and again for so long."""
    began, cpu, own = time.perf_counter(), server.cpu(), time.process_time()
    done, times = 0.0, 0
    while not times or time.perf_counter() - began < seconds:
        done += work()
        times += 1
    passed = time.perf_counter() - began
    per = times if done > times * CONNECTIONS else done
    return Figure(done / passed, (server.cpu() - cpu) / per, (time.process_time() - own) / passed)


class Bench:
    """The rows of the table, for one server: each method is one turn."""

    def __init__(self, server: Server, seconds: float, large: bytearray) -> None:
        self._server, self._seconds, self._large = server, seconds, large
        self._all = [Connection(server.port) for _ in range(CONNECTIONS)]
        self._one = self._all[:1]
        layer = os.urandom(1000)
        self._layer, config = digest_of(layer), digest_of(b"{}")
        push(self._all[:2], [layer, b"{}"], [self._layer, config])
        parts = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": self._layer, "size": 1000}]
        about = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2}
        raw = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": parts}).encode()
        self._all[0].send(request("PUT", "/v2/bench/manifests/v1", len(raw), MANIFEST) + raw)
        self._all[0].receive(b"201")

    def manifest_get(self) -> Figure:
        return self._rate(request("GET", "/v2/bench/manifests/v1"))

    def small_get(self) -> Figure:
        return self._rate(request("GET", f"/v2/bench/blobs/{self._layer}"))

    def _rate(self, wanted: bytes) -> Figure:
        def work() -> float:
            for connection in self._all:
                connection.send(wanted)
            for connection in self._all:
                connection.receive(b"200")
            return CONNECTIONS

        return timed(self._server, work, self._seconds)

    def small_push(self) -> Figure:
        def work() -> float:
            contents = [os.urandom(1000) for _ in self._all]
            push(self._all, contents, [digest_of(content) for content in contents])
            return CONNECTIONS

        return timed(self._server, work, self._seconds)

    def large_push(self) -> Figure:
        self._large[:16] = os.urandom(16)
        content = bytes(self._large)
        self._digest = digest_of(content)

        def work() -> float:
            push(self._one, [content], [self._digest])
            return len(content) / 1e6

        return timed(self._server, work, 0)

    def large_get(self) -> Figure:
        """Gets what the turn before pushed."""
        wanted = request("GET", f"/v2/bench/blobs/{self._digest}")

        def work() -> float:
            self._one[0].send(wanted)
            self._one[0].receive(b"200")
            return len(self._large) / 1e6

        return timed(self._server, work, self._seconds)


ROWS: dict[str, tuple[Callable[[Bench], Figure], float]] = {
    "manifest GET, 1/s": (Bench.manifest_get, 4.0),
    "small blob GET, 1/s": (Bench.small_get, 4.0),
    "small blob push, 1/s": (Bench.small_push, 4.0),
    "large blob push, MB/s": (Bench.large_push, 2.0),
    "large blob GET, MB/s": (Bench.large_get, 1.0),
}


@contextlib.contextmanager
def serving(name: str, folder: Path) -> Iterator[Server]:
    """One of the two registries on a fresh directory, from when it listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    listen, root = f"127.0.0.1:{port}", folder / name
    command = [sys.executable, "-m", "lamina", "registry", "serve", "--listen", listen, "--root", str(root)]
    if name == "docker-registry":
        settings = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(root)}},
            "http": {"addr": listen},
        }
        (folder / "config.yml").write_text(json.dumps(settings))
        command = [name, "serve", str(folder / "config.yml")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield Server(name, port, process)
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    """Return when something listens."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)  # there is no event for "listens now"
    raise SystemExit("a registry did not start")


def measure(rounds: int, seconds: float, size: int) -> dict[str, list[list[Figure]]]:
    """For each row, for each round, lamina's figure and docker-registry's."""
    large = bytearray(os.urandom(1 << 20) * (size >> 20))
    found: dict[str, list[list[Figure]]] = {name: [] for name in ROWS}
    with contextlib.ExitStack() as parts:
        folder = Path(tempfile.mkdtemp(prefix="bench-registry-"))
        parts.callback(shutil.rmtree, folder)
        servers = [parts.enter_context(serving(name, folder)) for name in ("lamina", "docker-registry")]
        benches = [Bench(server, seconds, large) for server in servers]
        for number in range(rounds):
            for name, (turn, _) in ROWS.items():
                order = (0, 1) if number % 2 == 0 else (1, 0)
                figures = {}
                for place in order:
                    figures[place] = turn(benches[place])
                    servers[place].settled()
                found[name].append([figures[0], figures[1]])
            for path in folder.glob("**/blobs/**/*"):
                if path.is_file() and path.stat().st_size == size:
                    path.unlink()
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return found


def table(found: dict[str, list[list[Figure]]]) -> Iterator[str]:
    """The lines that are shown."""
    yield f"{'':22}{'lamina':>9}{'docker-registry':>17}{'ratio':>7}{'wanted':>8}{'':8}CPU ms, each; client busy"
    for name, (_, wanted) in ROWS.items():
        pairs = found[name]
        ratio = median(ours.rate / theirs.rate for ours, theirs in pairs)
        ours, theirs = (Figure(*map(median, zip(*side, strict=True))) for side in zip(*pairs, strict=True))
        verdict = "" if ratio >= wanted else "missed"
        yield (
            f"{name:22}{ours.rate:9.0f}{theirs.rate:17.0f}{ratio:6.1f}×{wanted:7.0f}× {verdict:7}"
            f"{ours.cpu * 1e3:8.2f} {theirs.cpu * 1e3:8.2f}{ours.client:6.0%} {theirs.client:4.0%}"
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--seconds", type=float, default=1.0, help="how long a turn takes")
    options.add_argument("--large", type=int, default=512, help="size of the large blob in MiB")
    given = options.parse_args()
    if shutil.which("docker-registry") is None:
        raise SystemExit("docker-registry is not installed: `apt-get install docker-registry`")
    for line in table(measure(given.rounds, given.seconds, given.large << 20)):
        print(line)


if __name__ == "__main__":
    main()
