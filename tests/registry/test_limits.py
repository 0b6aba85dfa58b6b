"""Clients that are slow, and requests that are large or deep: refused in the specification's form, and bounded."""

from __future__ import annotations

import base64
import socket
import time
from contextlib import closing
from pathlib import Path

import bcrypt
import pytest

from lamina.formats.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from lamina.formats.manifest import Manifest
from support.registries import Raw, Running, Start

MIB = 1 << 20
LIMIT = 4 * MIB


def talk(address: str, request: bytes) -> bytes:
    """All that the registry says to this, until it hangs up."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize(
    "request_so_far",
    [
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n",
        b"PUT /v2/a/manifests/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"POST /v2/a/blobs/uploads/?digest=sha256:"
        + b"0" * 64
        + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx",
        b"PUT /v2/a/manifests/t HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_a_request_that_does_not_go_on_is_refused_in_time(start: Start, request_so_far: bytes) -> None:
    running = start(head_timeout=0.5, body_timeout=0.5)
    answer = talk(running.address, request_so_far)
    assert b"HTTP/1.1 408 " in answer
    assert b'"errors":[{"code":"TIMEOUT"' in answer


def test_a_body_that_only_drips_is_refused(start: Start) -> None:
    host, _, port = start(body_timeout=0.5).address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=0.05) as connection:
        connection.sendall(b"PUT /v2/a/manifests/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        deadline, answer = time.monotonic() + 20, b""
        while not answer and time.monotonic() < deadline:
            connection.sendall(b"x")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_says_nothing_is_closed(start: Start) -> None:
    assert talk(start(head_timeout=0.2).address, b"") == b""


def test_a_client_that_takes_nothing_is_cut_off(start: Start) -> None:
    running = start(body_timeout=0.5)
    with closing(Raw(running.address)) as raw:
        digest = raw.push_blob("a", bytes(24 * MIB))
    host, _, port = running.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        deadline = time.monotonic() + 20
        while served(connection) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not served(connection)


def served(connection: socket.socket) -> bool:
    """Whether the other end of a connection over loopback is open still (proc(5), /proc/net/tcp)."""
    theirs, ours = (f":{connection.getpeername()[1]:04X}", f":{connection.getsockname()[1]:04X}")
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(theirs) and row[2].endswith(ours) and row[3] == "01" for row in rows)


def manifest_of(size: int) -> Manifest:
    """A manifest of exactly `size` bytes."""
    config = Descriptor.of(OCI_CONFIG, b"{}")
    bare = Manifest.build(config, [], annotations={"fill": ""})
    return Manifest.build(config, [], annotations={"fill": "x" * (size - len(bare.raw))})


def test_manifests_up_to_the_limit_and_not_beyond(registry: Running, raw: Raw) -> None:
    largest, more = manifest_of(LIMIT), manifest_of(LIMIT + 1)
    assert (len(largest.raw), len(more.raw)) == (LIMIT, LIMIT + 1)
    raw.push_manifest("a", "t", largest)
    assert raw("GET", "/v2/a/manifests/t").body == largest.raw
    answer = raw("PUT", "/v2/a/manifests/more", more.raw, Content_Type=more.media_type)
    assert (answer.status, answer.code) == (413, "SIZE_INVALID")
    head = (
        b"PUT /v2/a/manifests/more HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    chunked = head + f"{len(more.raw):x}\r\n".encode() + more.raw + b"\r\n0\r\n\r\n"
    answered = talk(registry.address, chunked)
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"SIZE_INVALID"' in answered


def test_a_manifest_of_very_many_layers(raw: Raw) -> None:
    layers = [Descriptor.of(OCI_LAYER, str(n).encode()) for n in range(20_000)]
    manifest = Manifest.build(Descriptor.of(OCI_CONFIG, b"{}"), layers)
    raw.push_manifest("a", "t", manifest)
    assert raw("GET", "/v2/a/manifests/t").body == manifest.raw


@pytest.mark.parametrize("key", ["config", "layers", "annotations", "subject", "unknown", "manifests", "mediaType"])
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_deep_nesting_is_refused(raw: Raw, key: str, pair: str) -> None:
    depth = (LIMIT - 1000) // len(pair)
    deep = pair[:-1] * depth + "1" + pair[-1] * depth
    for body in (deep, f'{{"schemaVersion":2,"{key}":{deep}}}'):
        for kind in (OCI_MANIFEST, OCI_INDEX):
            answer = raw("PUT", "/v2/a/manifests/t", body.encode(), Content_Type=kind)
            assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v2/" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: x\r\n" * 2_000 + b"\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_heads_that_are_no_good(registry: Running, head: bytes) -> None:
    answer = talk(registry.address, head)
    assert answer.split()[1].startswith(b"4")
    assert b'{"errors":[{"code":"' in answer


def test_bodies_are_kept_as_they_came(raw: Raw) -> None:
    content = b"not gzip at all" * 2000
    digest = raw.push_blob("a", content, Content_Encoding="gzip")
    assert raw("GET", f"/v2/a/blobs/{digest}").body == content


def test_odd_credentials_and_forms(start: Start, tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(f"ann:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    running = start(auth={"htpasswd": str(tmp_path / "htpasswd"), "mode": "token"})
    nested = base64.urlsafe_b64encode(b'{"alg":"ES256","x":' + b"[" * 3000 + b"]" * 3000 + b"}").decode().strip("=")
    long = base64.b64encode(b"ann:" + b"x" * 5000).decode()
    null = base64.b64encode(b"ann:\0secret").decode()
    with closing(Raw(running.address)) as raw:
        for token in (f"{nested}.e30.xx", "\xff.\xfe.\xfd", "..", "a" * 4000):
            assert raw("GET", "/v2/", Authorization=f"Bearer {token}").status == 401
        for secret in (long, null, "\xff"):
            assert raw("GET", "/token", Authorization=f"Basic {secret}").status == 401
        form = b"grant_type=password&username=ann&password=%ff%00"
        kind = "application/x-www-form-urlencoded"
        for sort in (f"{kind}; charset=nonsense", kind, "multipart/form-data; boundary=x"):
            assert raw("POST", "/token", form, Content_Type=sort).status == 401
        assert raw("POST", "/token", b"grant_type=x", Content_Type=kind).status == 400
        assert raw("POST", "/token", b"x" * 100_000, Content_Type=kind).status == 413
        right = raw("POST", "/token", b"grant_type=password&username=ann&password=secret", Content_Type=kind)
        assert right.status == 200
