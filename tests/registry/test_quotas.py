"""A repository's quota counts blobs, manifests and unfinished uploads, and pushes at once cannot pass it together."""

from __future__ import annotations

import random
import socket
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from lamina.formats.descriptor import OCI_CONFIG, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Manifest
from lamina.registry import admin
from support.registries import Answer, Raw, Running, Start
from support.waiting import eventually

QUOTA = 1_000_000
BLOB = 300_000


def content(seed: int, size: int = BLOB) -> bytes:
    return random.Random(seed).randbytes(size)


def limited(anywhere: Callable[..., Running]) -> Running:
    return anywhere(quotas={"a": QUOTA}, grace=0.0)


def usage(running: Running) -> int:
    return next((one.bytes for one in admin.ls(running.config) if one.name == "a"), 0)


def push(raw: Raw, body: bytes, repository: str = "a") -> Answer:
    return raw("POST", f"/v2/{repository}/blobs/uploads/?digest={Digest.of(body)}", body)


def put(raw: Raw, manifest: Manifest) -> Answer:
    return raw("PUT", f"/v2/a/manifests/{manifest.digest}", manifest.raw, Content_Type=manifest.media_type)


def manifest_of(seed: int, size: int) -> Manifest:
    return Manifest.build(Descriptor.of(OCI_CONFIG, b"{}"), [], annotations={"x": content(seed, size // 2).hex()})


def begin(raw: Raw) -> str:
    return raw("POST", "/v2/a/blobs/uploads/", b"").headers["Location"]


def test_manifests_count_until_they_are_collected(anywhere: Callable[..., Running]) -> None:
    running = limited(anywhere)
    manifests = [manifest_of(seed, BLOB) for seed in range(4)]
    with closing(Raw(running.address)) as raw:
        assert [put(raw, manifest).status for manifest in manifests] == [201, 201, 201, 403]
        assert usage(running) == sum(len(manifest.raw) for manifest in manifests[:3])
        assert put(raw, manifests[0]).status == 201  # it is there already, and costs nothing
        raw("DELETE", f"/v2/a/manifests/{manifests[0].digest}")
        assert put(raw, manifests[3]).status == 403
        admin.gc(running.config, grace=0.0)
        assert usage(running) == sum(len(manifest.raw) for manifest in manifests[1:3])
        assert put(raw, manifests[3]).status == 201


def test_unfinished_uploads_count(anywhere: Callable[..., Running]) -> None:
    running = limited(anywhere)
    with closing(Raw(running.address)) as raw:
        places = [begin(raw) for _ in range(4)]
        answers = [raw("PATCH", place, content(seed)) for seed, place in enumerate(places)]
        assert [answer.status for answer in answers] == [202, 202, 202, 403]
        assert answers[3].code == "DENIED"
        assert push(raw, content(9)).status == 403
        assert push(raw, content(9), "other").status == 201
        assert raw("DELETE", places[0]).status == 204
        assert push(raw, content(9)).status == 201
        for seed in (1, 2):  # what was reserved becomes what is used
            assert raw("PUT", f"{places[seed]}?digest={Digest.of(content(seed))}", b"").status == 201
        assert usage(running) == 3 * BLOB
        assert push(raw, content(10)).status == 403


def test_a_stream_is_stopped_at_the_quota_and_leaves_nothing(anywhere: Callable[..., Running]) -> None:
    """A body without a length is reserved as it comes."""
    running = limited(anywhere)
    with closing(Raw(running.address)) as raw:
        place = begin(raw)
        host, _, port = running.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = f"PATCH {place} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head.encode())
            assert _stream_until_refused(connection).startswith(b"HTTP/1.1 403 ")
        assert raw("GET", place).status == 404
        assert push(raw, content(1, QUOTA)).status == 201


def _stream_until_refused(connection: socket.socket) -> bytes:
    piece = content(1, 65536)
    try:
        for _ in range(10 * QUOTA // len(piece)):
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    except OSError:  # it hangs up on what it did not read
        pass
    return connection.recv(65536)


def test_a_refused_or_wrong_push_gives_its_room_back(anywhere: Callable[..., Running]) -> None:
    running = limited(anywhere)
    with closing(Raw(running.address)) as raw:
        for seed in range(5):
            place = begin(raw)
            assert raw("PATCH", place, content(seed)).status == 202
            assert raw("PUT", f"{place}?digest={Digest.of(b'other')}", b"").status == 400
            assert push(raw, content(seed, QUOTA + 1)).status == 403
        for _ in range(5):  # the same bytes again and again need no further room
            assert push(raw, content(1)).status == 201
        assert usage(running) == BLOB


def test_a_chunk_that_breaks_off_keeps_only_what_came(anywhere: Callable[..., Running]) -> None:
    """All of it was reserved when it began."""
    running = limited(anywhere)
    host, _, port = running.address.rpartition(":")
    with closing(Raw(running.address)) as raw:
        place = begin(raw)
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = f"PATCH {place} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {QUOTA}\r\n\r\n"
            connection.sendall(head.encode() + content(1, 100_000))

        def rest_fits() -> bool:
            last = int(raw("GET", place).headers["Range"].removeprefix("0-"))
            room = QUOTA - (last + 1 if last else 0)
            assert push(raw, content(2, room + 1)).status == 403
            return push(raw, content(2, room)).status == 201

        eventually(rest_fits)


def test_mounts_count(anywhere: Callable[..., Running]) -> None:
    with closing(Raw(limited(anywhere).address)) as raw:
        digests = [raw.push_blob("b", content(seed)) for seed in range(4)]
        mounts = [raw("POST", f"/v2/a/blobs/uploads/?mount={digest}&from=b", b"").status for digest in digests]
        assert mounts == [201, 201, 201, 403]


@pytest.mark.parametrize("kind", ["blobs", "chunks", "manifests", "mounts", "mixed"])
def test_pushes_at_once_do_not_pass_it_together(anywhere: Callable[..., Running], kind: str) -> None:
    running = limited(anywhere)
    rivals = 8
    start = Barrier(rivals)

    def attempt(seed: int) -> int:
        with closing(Raw(running.address)) as raw:
            chosen = ["blobs", "chunks", "manifests", "mounts"][seed % 4] if kind == "mixed" else kind
            place = begin(raw) if chosen == "chunks" else ""
            digest = raw.push_blob("b", content(seed)) if chosen == "mounts" else None
            start.wait()
            if chosen == "blobs":
                return push(raw, content(seed)).status
            if chosen == "chunks":
                return raw("PATCH", place, content(seed)).status
            if chosen == "mounts":
                return raw("POST", f"/v2/a/blobs/uploads/?mount={digest}&from=b", b"").status
            return put(raw, manifest_of(seed, BLOB)).status

    with ThreadPoolExecutor(rivals) as threads:
        statuses = list(threads.map(attempt, range(rivals)))
    assert sorted(statuses)[3:] == [403] * (rivals - 3)
    assert all(status in (201, 202) for status in sorted(statuses)[:3])


def test_what_expires_gives_its_room_back(anywhere: Callable[..., Running]) -> None:
    running = anywhere(quotas={"a": QUOTA}, upload_seconds=0.0)
    with closing(Raw(running.address)) as raw:
        place = begin(raw)
        assert raw("PATCH", place, content(1, QUOTA)).status == 202
        assert push(raw, content(2)).status == 403
        eventually(lambda: (admin.gc(running.config), raw("GET", place).status)[1] == 404)
        admin.gc(running.config)
        assert push(raw, content(2)).status == 201


def test_a_cache_keeps_to_it(anywhere: Callable[..., Running]) -> None:
    origin = anywhere()
    upstream = {"domain": origin.address, "prefix": "up"}
    cache = anywhere(upstreams=[upstream], quotas={"up/**": QUOTA})
    with closing(Raw(origin.address)) as there, closing(Raw(cache.address)) as here:
        small, large = (there.push_blob("a", content(1, size)) for size in (BLOB, QUOTA))
        assert here("GET", f"/v2/up/a/blobs/{small}").status == 200
        refused = here("GET", f"/v2/up/a/blobs/{large}")
        assert (refused.status, refused.code) == (403, "DENIED")


def test_a_store_of_before_is_counted_anew(start: Start, tmp_path: Path) -> None:
    """Schema 1 did not count manifests."""
    first = start(root=tmp_path / "root")
    manifest = manifest_of(1, BLOB)
    with closing(Raw(first.address)) as raw:
        assert put(raw, manifest).status == 201
    first.stop()
    with closing(sqlite3.connect(tmp_path / "root/registry.sqlite")) as database, database:
        database.execute("UPDATE repositories SET bytes = 0")
        database.execute("UPDATE schema_version SET version = 1")
    assert usage(start(root=tmp_path / "root")) == len(manifest.raw)
