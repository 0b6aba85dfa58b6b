"""Registries that answer uploads in their own way: what was accepted is there, whatever an answer counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from lamina.cancellation import NEVER
from lamina.distribution import RegistryClient
from lamina.distribution.layer_push import BytesSource
from lamina.distribution.upload import mount, upload
from lamina.errors import InvalidInput
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from support.registries import patient
from support.scripted import Reply, Request, scripted

CHUNK = 1000
CONTENT = bytes(range(256)) * 16  # four chunks and a bit
DIGEST = Digest.of(CONTENT)
Counting = Callable[[int, int], str]  # a Range header from the bytes before a chunk and after it

COUNTINGS: dict[str, Counting] = {
    "all bytes": lambda before, after: f"0-{max(0, after - 1)}",
    "one too many": lambda before, after: f"0-{after}",
    "the last chunk alone": lambda before, after: f"0-{max(0, after - before - 1)}",
    "the first chunk for ever": lambda before, after: f"0-{min(after, CHUNK) - 1}",
    "nothing": lambda before, after: "0-0",
    "something that is no range": lambda before, after: "bytes",
}


@dataclass
class Odd:
    """A registry with one upload at a time."""

    counting: Counting
    accepted: int = 202
    state: int = 204  # what a question for the state is answered with
    head: int = 404
    breaks: set[int] = field(default_factory=set)  # offsets of chunks of which only a part arrives
    lost: set[int] = field(default_factory=set)  # offsets of chunks that arrive, but whose answer does not
    data: bytearray = field(default_factory=bytearray)
    before: int = 0
    sessions: int = 0
    blob: bytes | None = None

    def __call__(self, request: Request) -> Reply:
        place = {"Location": f"/v2/a/blobs/uploads/{self.sessions}"}
        if request.method == "HEAD":
            return Reply(200 if self.blob else self.head)
        if request.method == "POST":
            self.sessions += 1
            self.data.clear()
            return Reply(202, {"Location": f"/v2/a/blobs/uploads/{self.sessions}", "Range": "0-0"})
        if request.method == "GET":
            return Reply(self.state, place | {"Range": self.counting(self.before, len(self.data))})
        if request.method == "PATCH":
            return self._append(request, place)
        if request.method == "PUT" and request.path.endswith(f"?digest={Digest.of(bytes(self.data))}"):
            self.blob = bytes(self.data)
            return Reply(201)
        return Reply(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')

    def _append(self, request: Request, place: dict[str, str]) -> Reply:
        start = int(request.headers["Content-Range"].partition("-")[0])
        if start != len(self.data):
            request.read(request.length)
            return Reply(416, place)
        self.before = start
        if start in self.breaks:
            self.breaks.remove(start)
            self.data += request.read(request.length // 2)
            return Reply(0)
        self.data += request.read(request.length)
        if start in self.lost:
            self.lost.remove(start)
            return Reply(0)
        return Reply(self.accepted, place | {"Range": self.counting(start, len(self.data))})


def push(registry: Odd) -> None:
    with scripted(registry) as server, RegistryClient(patient(upload_chunk=CHUNK)) as client:
        repository = client.repository(Reference.parse(f"{server.address}/a"))
        upload(repository, BytesSource(CONTENT, DIGEST), lambda done: None, NEVER)
    assert registry.blob == CONTENT


@pytest.mark.parametrize("accepted", [200, 201, 202, 204])
@pytest.mark.parametrize("counting", COUNTINGS)
def test_any_success_is_one_and_places_nothing(counting: str, accepted: int) -> None:
    registry = Odd(COUNTINGS[counting], accepted)
    push(registry)
    assert registry.sessions == 1


@pytest.mark.parametrize("state", [204, 404, 405, 500])
@pytest.mark.parametrize("trouble", ["breaks", "lost"])
@pytest.mark.parametrize("counting", COUNTINGS)
def test_an_upload_that_breaks_is_whole_in_the_end(counting: str, trouble: str, state: int) -> None:
    """Amazon's registry does not tell the state, and refuses a chunk that it has."""
    for chunks in ({0}, {CHUNK}, {2 * CHUNK, 4 * CHUNK}):
        troubles: dict[str, Any] = {trouble: set(chunks)}
        push(Odd(COUNTINGS[counting], 201, state, **troubles))


@pytest.mark.parametrize("counting", ["all bytes", "one too many", "the last chunk alone"])
def test_what_was_counted_before_places_the_rest(counting: str) -> None:
    """No byte is sent twice, once the answers have shown how they count."""
    registry = Odd(COUNTINGS[counting], breaks={2 * CHUNK})
    push(registry)
    assert registry.sessions == 1


@pytest.mark.parametrize("head", [403, 404, 405, 501])
def test_a_blob_that_cannot_be_looked_for_is_sent(head: int) -> None:
    registry = Odd(COUNTINGS["all bytes"], head=head)
    with scripted(registry) as server, RegistryClient(patient(upload_chunk=CHUNK)) as client:
        repository = client.repository(Reference.parse(f"{server.address}/a"))
        assert not repository.has_blob(DIGEST)
        assert repository.describe_blob(DIGEST) is None
    push(registry)


def test_a_mount_that_opens_an_upload_instead_ends_it() -> None:
    def answer(request: Request) -> Reply:
        return Reply(202, {"Location": "/v2/a/blobs/uploads/1"}) if request.method == "POST" else Reply(204)

    with scripted(answer) as server, RegistryClient(patient()) as client:
        assert not mount(client.repository(Reference.parse(f"{server.address}/a")), DIGEST, "b")
    assert [(request.method, request.path) for request in server.heard[-1:]] == [("DELETE", "/v2/a/blobs/uploads/1")]


def test_a_digest_that_is_refused_at_once_is_not_tried_again() -> None:
    registry = Odd(COUNTINGS["all bytes"])
    with scripted(registry) as server, RegistryClient(patient(upload_chunk=CHUNK)) as client:
        repository = client.repository(Reference.parse(f"{server.address}/a"))
        source = BytesSource(CONTENT, Digest.of(b"other"))
        with pytest.raises(InvalidInput, match="DIGEST_INVALID"):
            upload(repository, source, lambda done: None, NEVER)
    assert registry.sessions == 1
