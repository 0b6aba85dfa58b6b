"""An upload is finished, cancelled or expired: exactly one of them, in whatever order they meet."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from lamina.errors import NotFound
from lamina.formats.digest import Digest
from lamina.registry.metadata import repositories
from lamina.registry.registry import Registry
from lamina.registry.storage.protocol import Storage
from lamina.registry.uploads import keep
from support.registries import Raw, Running, Start
from support.seaweed import SeaweedServer
from support.waiting import eventually

CONTENT = bytes(range(256)) * 400
DIGEST = Digest.of(CONTENT)
LARGE = 64 << 20  # bytes that take longer to read than a file takes to unlink
RIVALS = [
    ("finish", "cancel"),
    ("cancel", "finish"),
    ("finish", "expire"),
    ("expire", "finish"),
    ("finish", "finish"),
    ("cancel", "expire"),
]


def begun(raw: Raw) -> str:
    """The place of an upload that has all its bytes."""
    place = raw("POST", "/v2/a/blobs/uploads/", b"").headers["Location"]
    assert raw("PATCH", place, CONTENT).status == 202
    return place


def attempt(running: Running, kind: str, place: str) -> bool:
    """Whether it is this one that has the upload."""
    if kind == "expire":
        assert running.registry is not None
        return asyncio.run(running.registry.storage.expire(time.time() + 10)) == 1
    with closing(Raw(running.address)) as raw:
        if kind == "cancel":
            answer = raw("DELETE", place)
            assert answer.status in (204, 404)
        else:
            answer = raw("PUT", f"{place}?digest={DIGEST}", b"")
            assert answer.status in (201, 404), answer
        return answer.status < 300


@contextmanager
def held(database: str) -> Iterator[Callable[[int], bool]]:
    """Nobody gets at the uploads' rows; gives a question: do so many wait for them?"""
    question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database) as holder, psycopg.connect(database, autocommit=True) as watcher:
        holder.execute("SELECT 1 FROM uploads FOR UPDATE")

        def waiting(count: int) -> bool:
            row = watcher.execute(question).fetchone()
            return row is not None and row[0] == count

        yield waiting


@pytest.mark.peer
@pytest.mark.parametrize("rivals", RIVALS, ids="-".join)
def test_one_has_an_upload_on_replicas(
    start: Start, seaweed: SeaweedServer, bucket: str, postgres: str, rivals: tuple[str, str]
) -> None:
    replicas = [start(root=None, storage=seaweed.url(bucket), database=postgres) for _ in rivals]
    with closing(Raw(replicas[0].address)) as raw, ThreadPoolExecutor() as threads:
        place, running = begun(raw), list[Future[bool]]()
        with held(postgres) as waiting:
            for replica, kind in zip(replicas, rivals, strict=True):
                running.append(threads.submit(attempt, replica, kind, place))
                eventually(lambda: waiting(len(running)))
        winners = [kind for kind, result in zip(rivals, running, strict=True) if result.result()]
        assert len(winners) == 1
        answer = raw("GET", f"/v2/a/blobs/{DIGEST}")
        if winners == ["finish"]:
            assert (answer.status, answer.body) == (200, CONTENT)
        else:
            assert (answer.status, seaweed.keys(bucket)) == (404, [])


@pytest.mark.parametrize("objects", [False, True], ids=["files", "objects"])
@pytest.mark.parametrize("kind", ["cancel", "expire", "finish"])
def test_who_comes_between_verification_and_commit(start: Start, tmp_path: Path, kind: str, objects: bool) -> None:
    """Local files are taken when they are verified, uploads in an object store when they are committed."""
    registry = start(storage=f"file://{tmp_path}/objects" if objects else None).registry
    assert registry is not None

    async def meet() -> tuple[bool, bool]:
        upload = await prepared(registry.storage)
        placed = await registry.storage.finish("a", upload, DIGEST)
        rival = await ended(registry, kind, upload)
        add = repositories.add_blob
        kept = await registry.database.write(add, "a", str(DIGEST), placed, upload, time.time(), None)
        return kept is not None, rival

    assert asyncio.run(meet()) == ((False, True) if objects else (True, False))
    there = kind == "finish" or not objects
    assert asyncio.run(served(registry)) == (CONTENT if there else None)


@pytest.mark.parametrize("kind", ["cancel", "expire"])
def test_a_file_that_goes_while_it_is_verified(registry: Running, kind: str) -> None:
    parts = registry.registry
    assert parts is not None

    async def meet() -> None:
        upload = await prepared(parts.storage)
        assert parts.config.root is not None
        os.truncate(next((parts.config.root / "uploads").iterdir()), LARGE)
        other = Digest.of(CONTENT + bytes(LARGE - len(CONTENT)), "sha512")  # no running hash fits: it is read once more
        finishing = asyncio.create_task(parts.storage.finish("a", upload, other))
        await asyncio.sleep(0)
        assert await ended(parts, kind, upload)
        with pytest.raises(NotFound):
            await finishing

    asyncio.run(meet())


def test_a_refused_push_leaves_neither_bytes_nor_an_upload(start: Start, tmp_path: Path) -> None:
    store = tmp_path / "objects"
    for number, storage in enumerate((None, f"file://{store}")):
        running = start(root=tmp_path / f"root{number}", storage=storage, quotas={"a": 1000})
        with closing(Raw(running.address)) as raw:
            place = raw("POST", "/v2/a/blobs/uploads/", b"").headers["Location"]
            assert raw("PATCH", place, CONTENT).status == 403
            assert raw("GET", place).status == 404
        assert [path for path in (tmp_path / f"root{number}/blobs").rglob("*") if path.is_file()] == []
    assert [path for path in store.rglob("*") if path.is_file()] == []


def test_a_push_whose_answer_was_lost_is_not_taken_back(registry: Running) -> None:
    """The commit stands, though the registry could not know."""
    parts = registry.registry
    assert parts is not None

    async def lose() -> bool:
        upload = await prepared(parts.storage)
        placed = await parts.storage.finish("a", upload, DIGEST)
        now = time.time()
        await parts.database.write(repositories.add_blob, "a", str(DIGEST), placed, upload, now, None)
        return await parts.database.write(repositories.abandon, str(DIGEST), placed, upload)

    assert asyncio.run(lose()) is False


async def prepared(storage: Storage) -> str:
    """An upload that has all its bytes."""

    async def body() -> AsyncIterator[bytes]:
        yield CONTENT

    upload = await storage.create("a", "sha256")
    await storage.append("a", upload, 0, body())
    return upload


async def ended(registry: Registry, kind: str, upload: str) -> bool:
    """Whether it is this one that ends the upload."""
    try:
        if kind == "expire":
            return await registry.storage.expire(time.time() + 10) == 1
        if kind == "cancel":
            await registry.storage.cancel("a", upload)
        else:
            await keep(registry.database, registry.storage, "a", DIGEST, upload, time.time(), None)
    except NotFound:
        return False
    return True


async def served(registry: Registry) -> bytes | None:
    blob = await registry.database.read(repositories.find_blob, "a", str(DIGEST))
    return blob and b"".join([piece async for piece in registry.storage.stream(blob.location, 0, blob.size)])
