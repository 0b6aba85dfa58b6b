"""Caches in folders of clients of `POST /build`: a build asks in its messages, and the client answers by requests.

    {"aux": {"Content": {"Call": "4f…", "Folder": "cache", "Do": "send", "Digest": "sha256:…"}}}

`size` is answered by `POST /build/content/CALL?size=BYTES`, `send` by a POST with the blob as its body; either without
the blob by `?missing=1`. `fetch` is answered by a GET, whose answer is a new blob, and `finish` by an empty POST once
the `Tag` of `index.json` means the `Descriptor`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from lamina.cancellation import Cancellation
from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, empty
from lamina.daemon.http.routing import Route
from lamina.daemon.http.stream import feed_response
from lamina.daemon.http.upload import Upload, receiving
from lamina.errors import InvalidInput, NotFound, Unavailable
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.layers.tar.source import Readable
from lamina.progress import Aux, Report


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a client answers: a number of bytes, or the bytes."""

    size: int | None = None
    body: Upload | None = None


@dataclass(slots=True)
class _Question:
    """One question of a build. `pieces` are what the client is to fetch, `over` is set when the answer is read."""

    pieces: Iterable[bytes] | None = None
    answer: Future[_Answer] = field(default_factory=Future)
    over: threading.Event = field(default_factory=threading.Event)

    def settle(self, answer: _Answer) -> None:
        """Hand an answer to the build, and return when it is read. Ignore one that comes too late."""
        with suppress(InvalidStateError):
            self.answer.set_result(answer)
            self.over.wait()

    def fail(self) -> None:
        """Note that the client left in the middle. Ignore it after an answer."""
        with suppress(InvalidStateError):
            self.answer.set_exception(Unavailable("the client stopped in the middle of a blob"))

    def wait(self, cancellation: Cancellation) -> _Answer:
        """Return the answer. Raise Cancelled, Unavailable."""
        with cancellation.on_cancel(self.answer.cancel):
            try:
                return self.answer.result()
            except CancelledError:
                cancellation.check()
                raise


class BuildContentRoutes:
    """The questions that are open, by names that nobody can guess, and the endpoints that answer them."""

    def __init__(self) -> None:
        self._questions: dict[str, _Question] = {}

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/build/content/{call}", self.answer),
            Route("GET", "/build/content/{call}", self.fetch, Kind.WORK),
        ]

    def folders(self, report: Report, cancellation: Cancellation) -> Callable[[str], AskedFolder]:
        """Return what finds the folders of one build's client. `report` tells the client the questions."""
        return lambda name: AskedFolder(self, name, report, cancellation)

    @contextmanager
    def ask(self, pieces: Iterable[bytes] | None = None) -> Iterator[tuple[str, _Question]]:
        """Provide a question that can be answered while the block runs, with its name."""
        call, question = secrets.token_hex(16), _Question(pieces)
        self._questions[call] = question
        try:
            yield call, question
        finally:
            self._questions.pop(call, None)
            question.over.set()

    def _take(self, call: str, *, fetches: bool) -> _Question:
        """Return a question, which then cannot be answered again. Raise NotFound, InvalidInput for the wrong method."""
        question = self._questions.get(call)
        if question is None:
            raise NotFound(f"no build asks for content by the name {call}")
        if fetches is not (question.pieces is not None):
            raise InvalidInput("this content is sent, not fetched" if fetches else "this content is fetched, not sent")
        if self._questions.pop(call, None) is None:
            raise NotFound(f"no build asks for content by the name {call}")
        return question

    async def answer(self, call: Call) -> web.StreamResponse:
        size, is_missing = call.number("size"), call.flag("missing")
        question = self._take(call.places["call"], fetches=False)
        async with receiving(call.request.content) as upload:
            await call.alone(lambda: question.settle(_Answer() if is_missing else _Answer(size, upload)))
        return empty()

    async def fetch(self, call: Call) -> web.StreamResponse:
        question = self._take(call.places["call"], fetches=True)

        def pieces() -> Iterator[bytes]:
            yield from question.pieces or ()
            with suppress(InvalidStateError):
                question.answer.set_result(_Answer())

        return await feed_response(call, pieces(), "application/octet-stream", stop=question.fail)


class AskedFolder:
    """A folder of a client: a CacheFolder."""

    def __init__(self, questions: BuildContentRoutes, name: str, report: Report, cancellation: Cancellation) -> None:
        self._questions = questions
        self._name = name
        self._report = report
        self._cancellation = cancellation

    def size(self, digest: Digest) -> int | None:
        with self._asked("size", Digest=str(digest)) as answer:
            return answer.size

    @contextmanager
    def open(self, digest: Digest) -> Iterator[Readable]:
        with self._asked("send", Digest=str(digest)) as answer:
            if answer.body is None:
                raise NotFound(f"{self._name} has no blob {digest}", digest=digest)
            yield answer.body

    def write(self, digest: Digest, pieces: Iterable[bytes]) -> None:
        with self._asked("fetch", pieces, Digest=str(digest)):
            return

    def finish(self, manifest: Descriptor, tag: str) -> None:
        with self._asked("finish", Descriptor=manifest.to_json(), Tag=tag):
            return

    @contextmanager
    def _asked(self, do: str, pieces: Iterable[bytes] | None = None, **more: Any) -> Iterator[_Answer]:
        with self._questions.ask(pieces) as (call, question):
            self._report(Aux({"Content": {"Call": call, "Folder": self._name, "Do": do, **more}}))
            yield question.wait(self._cancellation)
