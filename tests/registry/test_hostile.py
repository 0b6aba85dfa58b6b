"""Generated requests that no good client sends: each gets an answer below 500, in the specification's form."""

from __future__ import annotations

import base64
import json
import random
import socket
import threading
from collections import Counter
from pathlib import Path

import bcrypt
import pytest

from support.spawned import Spawned

REQUESTS = 50_000
CONNECTIONS = 4
HEX = "0123456789abcdef"

NAMES = [
    "a",
    "a/b",
    "..",
    "a/../b",
    "%2e%2e/%2e%2e",
    "A",
    "a//b",
    "-",
    "a" * 300,
    "ü",
    "a%00b",
    "a/blobs/uploads",
    "",
    "é/" * 9,
]
ENDS = [
    "/manifests/{ref}",
    "/blobs/{ref}",
    "/blobs/uploads/",
    "/blobs/uploads/{ref}",
    "/tags/list",
    "/referrers/{ref}",
    "/",
    "/nothing",
]
METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"]
QUERIES = [
    "",
    "?digest={ref}",
    "?mount={ref}",
    "?mount={ref}&from={name}",
    "?n={n}",
    "?n={n}&last={ref}",
    "?digest-algorithm={ref}",
    "?tag={ref}",
    "?%ff=%zz",
]
RANGES = [
    "bytes=0-",
    "bytes=-1",
    "bytes=5-1",
    "bytes=0-0,5-6",
    "bytes=99999999999999999999-",
    "0-5",
    "5-0",
    "a-b",
    "",
    "0-99999999999999999999999",
]
TYPES = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "text/html",
    "application/json; charset=\xff",
    "",
]
NESTED = base64.urlsafe_b64encode(b'{"alg":"ES256","kid":' + b"[" * 2000 + b"]" * 2000 + b"}").decode().strip("=")
TOKENS = [
    "Basic ",
    "Basic !!!",
    "Bearer x.y.z",
    "Basic OjpwOg==",
    "Negotiate abc",
    "Basic \xff\xfe",
    "Basic YW5uOgBzZWNyZXQ=",
    f"Bearer {NESTED}.e30.xx",
    "Bearer eyJhbGciOiJub25lIn0.eyJhY2Nlc3MiOltdfQ.",
    "Bearer \xff.\xfe.\xfd",
]
FORMS = [
    b"grant_type=password&username=ann&password=wrong&scope=repository:a:*",
    b"grant_type=refresh_token&refresh_token=x",
    b"grant_type=password&username=%ff%00&scope=repository:../..:pull",
    b"&&&=%",
    b"a=" + b"x" * 70_000,
]
ENCODINGS = ["gzip", "zstd", "deflate, br", "nonsense"]


class Fuzzer:
    """Makes requests from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def reference(self) -> str:
        pick = self._random.randrange(8)
        digits = "".join(self._random.choices(HEX, k=64))
        return [
            f"sha256:{digits}",
            f"sha512:{digits}{digits}",
            f"sha256:{digits[:63]}",
            "md5:" + digits[:32],
            "..",
            "%2e%2e%2fetc%2fpasswd",
            "latest",
            "".join(chr(self._random.randrange(33, 127)) for _ in range(self._random.randrange(1, 160))).replace(
                "#", "x"
            ),
        ][pick]

    def manifest(self) -> bytes:
        leaf: object = self._random.choice(
            [None, 1, "x", [], {}, True, -1, 1e308, "sha256:" + "a" * 64, [[]] * 3, {"a": {}}]
        )
        depth = self._random.choice([0, 1, 50, 2000] * 50 + [1_000_000])
        text = "[" * depth + json.dumps(leaf) + "]" * depth
        key = self._random.choice(
            ["config", "layers", "manifests", "subject", "annotations", "mediaType", "schemaVersion"]
        )
        choices = [
            b"{" + f'"schemaVersion":2,"{key}":{text}'.encode() + b"}",
            text.encode(),
            self._random.randbytes(self._random.randrange(200)),
            b'{"schemaVersion":2,"config":{"mediaType":"a","digest":"sha256:'
            + b"a" * 64
            + b'","size":1},"layers":'
            + text.encode()
            + b"}",
        ]
        return self._random.choice(choices)

    def request(self) -> tuple[str, bytes]:
        """The method and the bytes of a request."""
        choose = self._random.choice
        method = choose(METHODS)
        fill = {"ref": self.reference(), "name": choose(NAMES), "n": choose(["0", "-1", "1e9", "99999999999", "x"])}
        path = "/v2/" + choose(NAMES) + choose(ENDS).format(**fill) + choose(QUERIES).format(**fill)
        if self._random.random() < 0.05:
            path = choose(
                ["/", "/v2/_catalog?n=x", "/token?scope=repository:../x:*", "/metrics/../v2/", "//v2//", "/v3/"]
            )
        body = self.manifest() if method in ("PUT", "POST", "PATCH") else b""
        if self._random.random() < 0.02:
            method, path, body = "POST", f"/token?scope=repository:{choose(NAMES)}:pull", choose(FORMS)
        headers = [f"Content-Length: {len(body)}"]
        for name, values in (
            ("Range", RANGES),
            ("Content-Range", RANGES),
            ("Content-Type", TYPES),
            ("Authorization", TOKENS),
            ("Content-Encoding", ENCODINGS),
            ("If-None-Match", RANGES),
        ):
            if self._random.random() < 0.3:
                headers.append(f"{name}: {choose(values)}")
        if self._random.random() < 0.01:
            headers.append(f"X-Large: {'x' * self._random.randrange(30_000)}")
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n" + "".join(h + "\r\n" for h in headers) + "\r\n"
        return method, head.encode("utf-8", "surrogateescape") + body


class Talk:
    """One connection that is made again when the registry closes it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._socket: socket.socket | None = None
        self._rest = b""

    def ask(self, method: str, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        for _ in range(2):
            if self._socket is None:
                self._socket, self._rest = socket.create_connection(self._target, timeout=20), b""
            try:
                self._socket.sendall(request)
                return self._answer(method)
            except ConnectionError:
                self.close()
        raise AssertionError(f"no answer to {request[:200]!r}")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _more(self) -> None:
        assert self._socket is not None
        piece = self._socket.recv(65536)
        if not piece:
            raise ConnectionResetError
        self._rest += piece

    def _answer(self, method: str) -> tuple[int, bytes]:
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        status = int(lines[0].split()[1])
        lengths = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")]
        length = 0 if method == "HEAD" or status in (204, 304) or not lengths else lengths[0]
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        if b"connection: close" in lines:
            self.close()
        return status, body


def torment(address: str, seed: int, count: int, seen: Counter[int], wrong: list[str]) -> None:
    fuzzer, talk = Fuzzer(seed), Talk(address)
    for _ in range(count):
        method, request = fuzzer.request()
        try:
            status, body = talk.ask(method, request)
        except AssertionError as error:
            wrong.append(str(error))
            continue
        seen[status] += 1
        if status >= 500 or (status >= 400 and body and not is_spec_error(body)):
            wrong.append(f"{status} {body[:200]!r} for {request[:300]!r}")
    talk.close()


def is_spec_error(body: bytes) -> bool:
    first = json.loads(body)["errors"][0]
    return isinstance(first["code"], str) and isinstance(first["message"], str)


@pytest.mark.slow
def test_fifty_thousand_hostile_requests(tmp_path: Path) -> None:
    root = tmp_path / "inside" / "root"
    seen: Counter[int] = Counter()
    wrong: list[str] = []
    (tmp_path / "users").write_text(f"ann:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    auth = {"htpasswd": str(tmp_path / "users"), "mode": "token"}
    with Spawned(root) as registry, Spawned(tmp_path / "guarded", auth=auth) as guarded:
        addresses = [registry.address] * (CONNECTIONS - 1) + [guarded.address]
        threads = [
            threading.Thread(target=torment, args=(address, seed, REQUESTS // CONNECTIONS, seen, wrong))
            for seed, address in enumerate(addresses)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert registry.running
    assert wrong == []
    assert registry.errors == guarded.errors == ""
    assert sum(seen.values()) >= REQUESTS
    assert {400, 401, 404, 405, 413, 416} <= set(seen)
    inside = [root, tmp_path / "guarded"]
    outside = {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if not any(r in (p, *p.parents) for r in inside)}
    assert outside == {Path("inside"), Path("users")}
