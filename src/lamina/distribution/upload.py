"""Blobs on their way out: mounted where possible, sent in chunks, continued after broken connections.

The protocol is the distribution-spec's "Pushing a blob in chunks": POST opens a session, PATCH appends, GET tells how
far it came, PUT closes it with the digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from urllib.parse import quote

import urllib3

from lamina.cancellation import Cancellation
from lamina.distribution.answer_errors import connection_failure
from lamina.distribution.headers import parse_number, parse_offsets
from lamina.distribution.repository import Repository
from lamina.distribution.transport import SUCCESS, TRANSIENT, Answer, drain, read
from lamina.errors import InvalidInput, LaminaError, NotFound, RangeInvalid, RateLimited, Unavailable
from lamina.formats.digest import Digest

PIECE = 256 << 10  # bytes handed to the socket at a time
Progress = Callable[[int], None]  # gets the number of bytes that are there


class UploadSource(Protocol):
    """A blob to send, which may still grow: `wait(offset)` returns the size once it is beyond `offset` or final."""

    def wait(self, beyond: int) -> int: ...
    def read_at(self, offset: int, size: int) -> bytes: ...
    def finished(self) -> Digest | None: ...


def mount(repository: Repository, digest: Digest, source: str) -> bool:
    """Have the registry link a blob from its repository `source`. Return False where the bytes must be sent instead."""
    url = f"/v2/{repository.path}/blobs/uploads/?mount={quote(str(digest), safe=':')}&from={quote(source, safe='')}"
    scopes = (*repository.pushing, f"repository:{source}:pull")
    answer = repository.transport.request("POST", url, scopes, accept=SUCCESS)
    drain(answer)
    if answer.status != 201 and (location := answer.headers.get("Location")):
        _cancel(repository, location)
    return answer.status == 201


def upload(repository: Repository, source: UploadSource, progress: Progress, cancellation: Cancellation) -> Digest:
    """Send `source`, and return its digest. Go on after broken connections; start over where the session is lost.

    Raise Unavailable when `Retry.attempts` in a row brought nothing, Cancelled, and the kinds of `answer_errors`.
    """
    session = _Session(repository, source, progress, cancellation)
    fruitless = 0
    while True:
        before = session.offset
        try:
            return session.run()
        except _Broken as broken:
            patience = repository.transport.settings.retry
            if (broken.asked or 0.0) > patience.longest:
                raise broken.problem from broken
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
    """One upload. `offset` counts what the registry accepted; its Range header is believed only after a break."""

    def __init__(
        self, repository: Repository, source: UploadSource, progress: Progress, cancellation: Cancellation
    ) -> None:
        self._repository = repository
        self._source = source
        self._progress = progress
        self._cancellation = cancellation
        self._location: str | None = None
        self._chunk = repository.transport.settings.upload_chunk
        self._counting = _Counting()
        self._sent = 0  # where the latest chunk ends, accepted or not
        self._refused: int | None = None  # where the registry did not want a chunk to begin
        self._resumed = False
        self.offset = 0

    def run(self) -> Digest:
        """Upload from where the session stands to the end."""
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
        """Ask how far the session came. Begin another one where the registry does not know, or cannot be believed."""
        if self._location is None:
            return
        try:
            answer = self._request("GET", self._location, accept=SUCCESS)
        except (_Broken, LaminaError):
            self._forget()
            return
        self._follow(answer)
        place = self._counting.place(answer.headers.get("Range"), self.offset, self._sent)
        if place is None or place == self._refused:
            self._forget()
        else:
            self.offset, self._resumed = place, True

    def _forget(self) -> None:
        self._location, self.offset, self._sent, self._refused, self._resumed = None, 0, 0, None, False
        self._counting = _Counting()

    def _open(self) -> None:
        answer = self._request("POST", f"/v2/{self._repository.path}/blobs/uploads/", accept=SUCCESS, patient=True)
        self._forget()
        self._chunk = max(self._chunk, parse_number(answer.headers.get("OCI-Chunk-Min-Length")) or 0)
        self._follow(answer)
        if self._location is None:
            raise Unavailable(f"{self._repository.reference.domain} names no place to upload to")

    def _send(self, start: int, end: int) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(end - start),
            "Content-Range": f"{start}-{end - 1}",
        }
        self._sent = end
        try:
            answer = self._request("PATCH", self._location or "", headers, lambda: self._pieces(start, end), SUCCESS)
        except RangeInvalid as error:
            self._refused = start
            raise _Broken(error) from error
        except NotFound as error:
            self._forget()
            raise _Broken(error) from error
        self.offset, self._refused = end, None
        self._counting.learn(answer.headers.get("Range"), start, end)
        self._follow(answer)

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            self._cancellation.check()
            piece = self._source.read_at(start, min(PIECE, end - start))
            start += len(piece)
            yield piece
            self._progress(start)

    def _close(self, digest: Digest) -> None:
        location = self._location or ""
        url = f"{location}{'&' if '?' in location else '?'}digest={quote(str(digest), safe=':')}"
        try:
            self._request("PUT", url, {"Content-Length": "0"}, b"", SUCCESS)
        except _Broken:
            if not self._repository.has_blob(digest):
                raise
        except (NotFound, RangeInvalid, InvalidInput) as error:
            if isinstance(error, InvalidInput) and not self._resumed:
                raise  # every byte was accepted in its place, so another try would end in the same way
            if not self._repository.has_blob(digest):
                self._forget()
                raise _Broken(error) from error

    def _request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: object = None,
        accept: Iterable[int] = SUCCESS,
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
            read(answer)
        except urllib3.exceptions.HTTPError as error:
            self._cancellation.check()
            raise _Broken(connection_failure(transport.endpoint.base, error)) from error
        return answer

    def _follow(self, answer: Answer) -> None:
        """Use the URL that an answer names, if any, for the next request."""
        if location := answer.headers.get("Location"):
            self._location = self._repository.transport.resolve(location)


_READINGS: tuple[Callable[[int, int], int], ...] = (
    lambda count, accepted: count,  # all bytes, as the specification has it
    lambda count, accepted: count - 1,  # one too many: `0-N` after N bytes
    lambda count, accepted: accepted + count,  # only those of the last chunk
)


class _Counting:
    """Learn from answers to accepted chunks how a registry counts the bytes of an upload in its Range header."""

    def __init__(self) -> None:
        self._readings = _READINGS

    def learn(self, header: str | None, start: int, end: int) -> None:
        """Drop the readings that do not fit the answer to a chunk from `start` to `end`."""
        offsets = parse_offsets(header)
        if offsets is not None:
            self._readings = tuple(reading for reading in self._readings if reading(offsets[1] + 1, start) == end)

    def place(self, header: str | None, accepted: int, sent: int) -> int | None:
        """Return where an upload stands after a break between `accepted` and `sent`; None if the header tells not."""
        offsets = parse_offsets(header)
        if offsets is None:
            return None
        if offsets == (0, 0) and accepted == 0:
            return 0  # it stands for nothing, as well as for one byte
        places = (reading(offsets[1] + 1, accepted) for reading in self._readings)
        return next((place for place in places if accepted <= place <= sent), None)


def _cancel(repository: Repository, location: str) -> None:
    transport = repository.transport
    try:
        url = transport.resolve(location)
        drain(transport.request("DELETE", url, repository.pushing, accept=range(200, 600), retry=False))
    except LaminaError:
        return  # the registry forgets it by itself
