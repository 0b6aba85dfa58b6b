"""A large blob comes in parts, several at once, in order, and never as something else than its digest says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from math import inf
from pathlib import Path
from random import Random

import pytest

from lamina.cancellation import NEVER, Cancellation
from lamina.distribution import RegistryClient, Retry, pull, push
from lamina.distribution.download import download
from lamina.distribution.part_download import LARGE
from lamina.errors import Cancelled, Corrupt, Unavailable
from lamina.formats.descriptor import OCI_LAYER, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.progress import ignore
from lamina.store.store import Store
from support.cutting import CuttingProxy, between
from support.registries import Running, make_image, parts_asked_for, patient
from support.scripted import Reply, Request, Scripted, scripted

PART = 64 << 10
AT_ONCE = 4
DATA = Random(5).randbytes((1 + 6 * AT_ONCE) * PART - 100)  # the first part comes alone, and the last one is short
BLOB = Descriptor(OCI_LAYER, Digest.of(DATA), len(DATA))
Answer = Callable[[Request], Reply]


class Memory:
    """What a download is written to."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = 0

    def write(self, piece: bytes, /) -> int:
        self.data += piece
        self.size += len(piece)
        return len(piece)

    def restart(self) -> None:
        self.data.clear()
        self.size = 0


def in_parts(retry: Retry | None = None, fast_line: float = inf) -> RegistryClient:
    more = {"retry": retry} if retry else {}
    return RegistryClient(patient(download_part=PART, parts_at_once=AT_ONCE, fast_line=fast_line, **more))


def bounds(request: Request) -> tuple[int, int] | None:
    """The first byte that a request asks for, and the byte behind the last one; None if it asks for all."""
    if "Range" not in request.headers:
        return None
    first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
    return int(first), min(int(last or len(DATA)), len(DATA) - 1) + 1


def send(request: Request) -> Reply:
    """Answer as a registry does."""
    if (asked := bounds(request)) is None:
        return Reply(200, {}, DATA)
    first, end = asked
    return Reply(206, {"Content-Range": f"bytes {first}-{end - 1}/{len(DATA)}"}, DATA[first:end])


def fetch(server: Scripted, into: Memory, cancellation: Cancellation = NEVER, *, fast_line: float = inf) -> None:
    with in_parts(Retry(attempts=2, first=0.001), fast_line) as client:
        repository = client.repository(Reference.parse(f"{server.address}/a:1"))
        download(repository, BLOB, into, ignore, cancellation)


def test_parts_are_under_way_together_and_never_more_than_may_be_in_memory() -> None:
    together = threading.Barrier(AT_ONCE, timeout=20)  # it breaks unless so many requests meet
    into, ahead = Memory(), set[int]()

    def answer(request: Request) -> Reply:
        asked = bounds(request)
        assert asked is not None
        ahead.add(asked[1] - into.size)
        if asked[0]:
            together.wait()
        return send(request)

    with scripted(answer) as server:
        fetch(server, into)
    assert bytes(into.data) == DATA
    assert len(server.heard) == -(-len(DATA) // PART)
    assert max(ahead) <= AT_ONCE * PART


def test_a_blob_that_is_not_large_is_one_request() -> None:
    into = Memory()
    into.write(DATA[: -(LARGE * PART - 1)])
    with scripted(send) as server:
        fetch(server, into)
    assert bytes(into.data) == DATA
    assert len(server.heard) == 1


def test_a_registry_without_ranges_sends_all_by_one_connection() -> None:
    into = Memory()
    with scripted(lambda request: Reply(200, {}, DATA)) as server:
        fetch(server, into)
    assert bytes(into.data) == DATA
    assert [bounds(request) is None for request in server.heard] == [False, True]


def test_a_fast_line_needs_no_second_connection() -> None:
    into = Memory()
    with scripted(send) as server:
        fetch(server, into, fast_line=0)
    assert bytes(into.data) == DATA
    assert [request.headers["Range"] for request in server.heard] == [f"bytes=0-{PART - 1}", f"bytes={PART}-"]


def test_parts_begin_where_an_earlier_try_ended() -> None:
    into = Memory()
    into.write(DATA[:1000])
    with scripted(send) as server:
        fetch(server, into)
    assert bytes(into.data) == DATA
    assert min(asked[0] for request in server.heard if (asked := bounds(request))) == 1000


def shifted(request: Request) -> Reply:
    first, end = bounds(request) or (0, len(DATA))
    if first < 3 * PART:
        return send(request)
    return Reply(206, {"Content-Range": f"bytes {first - 1}-{end - 2}/{len(DATA)}"}, DATA[first - 1 : end - 1])


def without_offsets(request: Request) -> Reply:
    reply = send(request)
    return Reply(reply.status, {}, reply.body)


def shortened(request: Request) -> Reply:
    reply = send(request)
    assert isinstance(reply.body, bytes)
    return Reply(reply.status, reply.headers, reply.body[:-1])


@pytest.mark.parametrize("answer", [shifted, without_offsets, shortened])
def test_another_part_than_was_asked_for_is_refused(answer: Answer) -> None:
    into = Memory()
    with scripted(answer) as server, pytest.raises(Corrupt, match="sends"):
        fetch(server, into)
    assert DATA.startswith(bytes(into.data))


def test_parts_of_other_content_are_not_kept(other_store: Store) -> None:
    def answer(request: Request) -> Reply:
        reply = send(request)
        assert isinstance(reply.body, bytes)
        return Reply(reply.status, reply.headers, reply.body[:-1] + b"?")

    with scripted(answer) as server, other_store.blobs.ingest(ref="test") as ingest:
        with in_parts() as client:
            download(client.repository(Reference.parse(f"{server.address}/a:1")), BLOB, ingest, ignore, NEVER)
        assert ingest.size == len(DATA)
        with pytest.raises(Corrupt):
            ingest.commit(BLOB.digest)
    assert not other_store.blobs.has(BLOB.digest)
    with other_store.blobs.ingest(ref="test") as again:
        assert again.size == 0


def test_a_part_without_end_is_read_to_the_end_that_was_asked_for() -> None:
    def answer(request: Request) -> Reply:
        first, end = bounds(request) or (0, len(DATA))
        place = {"Content-Range": f"bytes {first}-{end - 1}/{len(DATA)}"}
        return Reply(206, place, chain([DATA[first:end]], repeat(bytes(PART))))

    into = Memory()
    with scripted(answer) as server:
        fetch(server, into)
    assert bytes(into.data) == DATA


def test_a_lost_part_is_fetched_by_one_connection() -> None:
    broken = threading.Event()

    def answer(request: Request) -> Reply:
        asked = bounds(request)
        if asked and asked[0] == 3 * PART and not broken.is_set():
            broken.set()
            reply = send(request)
            return Reply(206, {**reply.headers, "Content-Length": str(PART)}, DATA[asked[0] : asked[1] - 10])
        return send(request)

    into = Memory()
    with scripted(answer) as server:
        fetch(server, into)
    assert bytes(into.data) == DATA
    assert server.heard[-1].headers["Range"] == f"bytes={3 * PART}-", "what was written is not fetched again"


def test_cancelled_parts_end_at_once() -> None:
    stop, over = Cancellation(), threading.Event()

    def stall(data: bytes) -> Iterator[bytes]:
        yield data[:-1]
        stop.cancel("the test says so")
        over.wait(60)  # a client that waits for the last byte would not come back before that

    def answer(request: Request) -> Reply:
        reply, asked = send(request), bounds(request)
        if not asked or asked[0] < 2 * PART:
            return reply
        assert isinstance(reply.body, bytes)
        return Reply(206, reply.headers, stall(reply.body))

    into = Memory()
    with scripted(answer) as server:
        with pytest.raises(Cancelled):
            fetch(server, into, stop)
        assert not over.is_set()
        over.set()
    assert DATA.startswith(bytes(into.data))


def test_a_pull_in_parts_goes_through_cuts_and_goes_on_after_a_failure(
    registry: Running, store: Store, tmp_path: Path
) -> None:
    config, layers = make_image(store, 100 * PART)
    with in_parts() as client, store.lease():
        push(Reference.parse(f"{registry.address}/a:1"), config, layers, store, ignore, client=client)
    with Store.open(tmp_path / "second") as second, second.lease():
        with CuttingProxy(registry.address, chain(repeat(20 * PART, 5), repeat(0))) as proxy:
            with in_parts(Retry(attempts=1)) as client, pytest.raises(Unavailable):
                pull(Reference.parse(f"{proxy.address}/a:1"), None, second, ignore, client=client)
        before = proxy.downstream
        with CuttingProxy(registry.address, between(30 * PART, 40 * PART)) as proxy, in_parts() as client:
            pulled = pull(Reference.parse(f"{proxy.address}/a:1"), None, second, ignore, client=client)
        assert [layer.diff_id for layer in pulled.layers] == [layer.diff_id for layer in layers]
    assert before > 20 * PART
    lost = 2 * AT_ONCE * PART + 64 * 1024 * proxy.cuts  # parts that were under way when a connection died
    assert before + proxy.downstream < 100 * PART + lost


def test_a_pull_asks_registries_for_parts(registry: Running, store: Store, other_store: Store) -> None:
    config, layers = make_image(store, 40 * PART)
    with in_parts() as client, store.lease(), other_store.lease(), parts_asked_for() as lengths:
        push(Reference.parse(f"{registry.address}/a:1"), config, layers, store, ignore, client=client)
        pulled = pull(Reference.parse(f"{registry.address}/a:1"), None, other_store, ignore, client=client)
        assert [layer.tar.read_bytes() for layer in pulled.layers] == [layer.tar.read_bytes() for layer in layers]
    assert sum(lengths) == pulled.manifest.layers[0].size
