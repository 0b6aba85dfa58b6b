"""lamina's registry beside Debian's docker-registry: both on local files, in turn, and the medians of the ratios.

Run by `make bench-registry`. Needs the package docker-registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROUNDS = 5
SECONDS = 1.5
LARGE = 256 << 20
GOALS = {
    "manifest GET /s": 4.0,
    "small blob GET /s": 4.0,
    "small blob push /s": 4.0,
    "large blob push MB/s": 2.0,
    "large blob GET MB/s": 1.0,
}
SERVE = "import sys; from pathlib import Path; from lamina.distribution.server import Config, serve; "
SERVE += "serve(Config(listen=sys.argv[1], root=Path(sys.argv[2])))"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Connection:
    """The least that speaks HTTP, so that the client is no bottleneck."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 20)

    def __call__(self, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, dict[bytes, bytes]]:
        """Status and headers; the body of the answer is read and dropped."""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        head += f"Content-Type: {kind}\r\n\r\n" if kind else f"Accept: {MANIFEST}\r\n\r\n"
        self._socket.sendall(head.encode() + body if len(body) < 65536 else head.encode())
        if len(body) >= 65536:
            self._socket.sendall(body)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        top, _, rest = received.partition(b"\r\n\r\n")
        lines = top.split(b"\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])
        }
        left = int(headers.get(b"content-length", b"0")) - len(rest)
        while left > 0:
            left -= self._socket.recv_into(self._buffer)
        return int(lines[0].split()[1]), headers

    def push(self, content: bytes) -> str:
        """Push a blob as most clients do: POST, then PUT."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        _, headers = self("POST", "/v2/bench/blobs/uploads/")
        place = headers[b"location"].decode()
        place = "/" + place.split("/", 3)[3] if place.startswith("http") else place
        status, _ = self(
            "PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", content, "application/octet-stream"
        )
        assert status == 201, status
        return digest


def rate(port: int, threads: int, work: Callable[[Connection], object]) -> float:
    """How often per second `threads` clients get `work` done."""
    counts, end = [0] * threads, time.monotonic() + SECONDS

    def run(place: int) -> None:
        connection = Connection(port)
        while time.monotonic() < end:
            work(connection)
            counts[place] += 1

    began = time.monotonic()
    running = [threading.Thread(target=run, args=(place,)) for place in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def measure(port: int) -> dict[str, float]:
    """All figures of one server."""
    one = Connection(port)
    layer, config = one.push(random.randbytes(1000)), one.push(b"{}")
    parts = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 1000}]
    about = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": parts}
    assert one("PUT", "/v2/bench/manifests/v1", json.dumps(manifest).encode(), MANIFEST)[0] == 201
    figures = {
        "manifest GET /s": rate(port, 4, lambda c: c("GET", "/v2/bench/manifests/v1")),
        "small blob GET /s": rate(port, 4, lambda c: c("GET", f"/v2/bench/blobs/{layer}")),
        "small blob push /s": rate(port, 8, lambda c: c.push(os.urandom(1000))),
    }
    large = os.urandom(1 << 20) * (LARGE >> 20) + os.urandom(16)
    hashing = time.monotonic()
    hashlib.sha256(large)
    hashing = time.monotonic() - hashing
    began = time.monotonic()
    digest = one.push(large)
    figures["large blob push MB/s"] = LARGE / 1e6 / (time.monotonic() - began - hashing)
    began = time.monotonic()
    for _ in range(3):
        one("GET", f"/v2/bench/blobs/{digest}")
    figures["large blob GET MB/s"] = 3 * LARGE / 1e6 / (time.monotonic() - began)
    return figures


@contextmanager
def served(name: str) -> Iterator[int]:
    """One of the two registries on a fresh directory; gives its port."""
    root = Path(tempfile.mkdtemp(prefix="bench-registry-"))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SERVE, f"127.0.0.1:{port}", str(root)]
    if name == "docker-registry":
        storage = f"storage: {{filesystem: {{rootdirectory: {root}}}}}"
        settings = f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n{storage}\n"
        (root / "config.yml").write_text(settings + f"http: {{addr: 127.0.0.1:{port}}}\n")
        command = ["docker-registry", "serve", str(root / "config.yml")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(root)


def wait_for(port: int) -> None:
    """Return when something listens."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise SystemExit("a registry did not start")


def main() -> None:
    if shutil.which("docker-registry") is None:
        raise SystemExit("docker-registry is not installed: `apt-get install docker-registry`")
    rounds = []
    for number in range(ROUNDS):
        with served("lamina") as port:
            ours = measure(port)
        with served("docker-registry") as port:
            theirs = measure(port)
        rounds.append((ours, theirs))
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
    print(f"{'':24}{'lamina':>10}{'docker-registry':>18}{'ratio':>8}{'goal':>7}")
    for name, goal in GOALS.items():
        ratio = median(ours[name] / theirs[name] for ours, theirs in rounds)
        values = [median(figures[name] for figures in side) for side in zip(*rounds, strict=True)]
        print(
            f"{name:24}{values[0]:10.0f}{values[1]:18.0f}{ratio:8.2f}{goal:7.1f}{'' if ratio >= goal else '  missed'}"
        )


if __name__ == "__main__":
    main()
