"""Blobs on their way out: mounted where possible, sent in chunks, continued after broken connections.

The protocol is the distribution-spec's "Pushing a blob in chunks": POST opens a session, PATCH appends, GET tells how
far it came, PUT closes it with the digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import quote, urljoin

import urllib3

from lamina.cancellation import Cancellation
from lamina.distribution.answers import connection_failure
from lamina.distribution.headers import parse_offsets
from lamina.distribution.registry import Repository
from lamina.distribution.transport import TRANSIENT, Answer, drain
from lamina.errors import LaminaError, NotFound, RangeInvalid, RateLimited, Unavailable
from lamina.formats.digest import Digest

CHUNK = 32 << 20  # bytes in one PATCH
PIECE = 256 << 10  # bytes handed to the socket at a time
Progress = Callable[[int], None]  # is told how many bytes are there now


class Source(Protocol):
    """A blob to send, which may still grow: `wait(offset)` gives the size once it is beyond `offset`, or the end."""

    def wait(self, beyond: int) -> int: ...
    def read_at(self, offset: int, size: int) -> bytes: ...
    def finished(self) -> Digest | None: ...


def mount(repository: Repository, digest: Digest, source: str) -> bool:
    """Have the registry link a blob from its repository `source`; False where it would rather be sent the bytes."""
    url = f"/v2/{repository.path}/blobs/uploads/?mount={quote(str(digest), safe=':')}&from={quote(source, safe='')}"
    scopes = (*repository.pushing, f"repository:{source}:pull")
    answer = repository.transport.request("POST", url, scopes, accept=(201, 202))
    drain(answer)
    if answer.status == 202 and (location := answer.headers.get("Location")):
        _cancel(repository, _absolute(repository, location))
    return answer.status == 201


def upload(repository: Repository, source: Source, progress: Progress, cancellation: Cancellation) -> Digest:
    """Send `source`, and give its digest. Goes on after broken connections; starts over where the session is lost.

    Raises Unavailable when `Retry.attempts` in a row brought nothing, Cancelled, and the kinds of `answers`.
    """
    session = _Session(repository, source, progress, cancellation)
    fruitless = 0
    while True:
        before = session.offset
        try:
            return session.run()
        except _Broken as broken:
            patience = repository.transport.settings.retry
            patience.pause(cancellation, max(1, fruitless), broken.asked)
            session.recover()
            fruitless = 0 if session.offset > before else fruitless + 1
            if fruitless >= patience.attempts:
                raise broken.problem from broken


class _Broken(Exception):
    """A transient failure in mid-upload."""

    def __init__(self, problem: LaminaError, asked: float | None = None) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.asked = asked


class _Session:
    def __init__(self, repository: Repository, source: Source, progress: Progress, cancellation: Cancellation) -> None:
        self._repository = repository
        self._source = source
        self._progress = progress
        self._cancellation = cancellation
        self._location: str | None = None
        self._chunk = CHUNK
        self.offset = 0

    def run(self) -> Digest:
        """Carry on from where the session stands to its end."""
        if self._location is None:
            self._open()
        while (size := self._source.wait(self.offset)) > self.offset:
            self._send(self.offset, min(size, self.offset + self._chunk))
            self._progress(self.offset)
        digest = self._source.finished()
        if digest is None:
            raise Unavailable("The content to push did not become ready")
        self._close(digest)
        return digest

    def recover(self) -> None:
        """Ask how far the session came; forget it where the registry does not know."""
        if self._location is None:
            return
        try:
            answer = self._request("GET", self._location, accept=(204, 202, 200))
        except (_Broken, NotFound):
            self._location, self.offset = None, 0
            return
        self._follow(answer)

    def _open(self) -> None:
        answer = self._request("POST", f"/v2/{self._repository.path}/blobs/uploads/", accept=(202,), patient=True)
        self.offset = 0
        minimum = answer.headers.get("OCI-Chunk-Min-Length", "")
        self._chunk = max(CHUNK, int(minimum) if minimum.isdigit() and len(minimum) < 13 else 0)
        self._follow(answer, said_nothing=0)

    def _send(self, start: int, end: int) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(end - start),
            "Content-Range": f"{start}-{end - 1}",
        }
        try:
            answer = self._request("PATCH", self._location or "", headers, lambda: self._pieces(start, end), (202,))
        except RangeInvalid as error:
            raise _Broken(error) from error
        except NotFound as error:
            self._location, self.offset = None, 0
            raise _Broken(error) from error
        self._follow(answer, said_nothing=end)

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            self._cancellation.check()
            piece = self._source.read_at(start, min(PIECE, end - start))
            start += len(piece)
            yield piece
            self._progress(start)

    def _close(self, digest: Digest) -> None:
        location = self._location or ""
        joint = "&" if "?" in location else "?"
        url = f"{location}{joint}digest={quote(str(digest), safe=':')}"
        try:
            self._request("PUT", url, {"Content-Length": "0"}, b"", (201,))
        except (NotFound, RangeInvalid, _Broken):
            if not self._repository.has_blob(digest):
                raise

    def _request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: object = None,
        accept: tuple[int, ...] = (202,),
        patient: bool = False,
    ) -> Answer:
        transport = self._repository.transport
        try:
            answer = transport.request(
                method, url, self._repository.pushing, headers=headers, body=body, accept=accept, retry=patient
            )
        except RateLimited as error:
            raise _Broken(error, error.facts.get("retry_after")) from error
        except LaminaError as error:
            status = error.facts.get("status")
            if status in TRANSIENT or (isinstance(error, Unavailable) and status is None):
                raise _Broken(error) from error
            raise
        try:
            answer.read()
        except urllib3.exceptions.HTTPError as error:
            self._cancellation.check()
            raise _Broken(connection_failure(transport.endpoint.base, error)) from error
        finally:
            drain(answer)
        return answer

    def _follow(self, answer: Answer, said_nothing: int | None = None) -> None:
        """Take the session's next URL and its state from an answer; `Range: 0-0` may mean nothing at all yet."""
        if location := answer.headers.get("Location"):
            self._location = _absolute(self._repository, location)
        offsets = parse_offsets(answer.headers.get("Range"))
        if said_nothing is not None and (offsets is None or said_nothing == 0):
            self.offset = said_nothing
        elif offsets is not None:
            self.offset = 0 if offsets == (0, 0) else offsets[1] + 1


def _cancel(repository: Repository, location: str) -> None:
    try:
        drain(repository.transport.request("DELETE", location, repository.pushing, accept=range(200, 600), retry=False))
    except LaminaError:
        return  # the registry forgets it by itself


def _absolute(repository: Repository, location: str) -> str:
    return urljoin(repository.transport.endpoint.base + "/", location)
