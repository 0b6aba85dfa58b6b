"""One request as routes see it: places, query, body, who asks; and a way to run the engine's blocking verbs."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from concurrent.futures import Future as ConcurrentFuture
from functools import cached_property
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qs

from aiohttp import web

from lamina.api.query import Query, parse_flag, parse_json, parse_number
from lamina.cancellation import Cancellation
from lamina.daemon.http.admission import Slot
from lamina.daemon.http.decoding import parse_filters
from lamina.errors import Forbidden, InvalidInput, TooLarge
from lamina.formats import go_json
from lamina.formats.document import encode_json
from lamina.formats.text import valid_unicode
from lamina.linux.processes import Caller
from lamina.progress import ignore

T = TypeVar("T")
P = ParamSpec("P")

BODY_LIMIT = 8 << 20  # bytes of a JSON body; tars come as streams
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # slow, so only where it may be
_PEER = struct.Struct("3i")


class Call:
    """A matched request.

    `version` is the API version of the client, `places` holds the variable parts of the path, and `slot` is the
    request's place behind a gate.
    """

    def __init__(
        self, request: web.Request, places: Mapping[str, str], version: tuple[int, int], workers: Executor, slot: Slot
    ) -> None:
        self.request = request
        self.places = places
        self.version = version
        self.workers = workers
        self._slot = slot

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking verb: a query in a shared worker thread, other work in its own (see `alone`).

        The verb goes on when the client goes away.
        """
        if self._slot.bounded:
            return await self.alone(lambda: work(*args, **kwargs))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.workers, lambda: work(*args, **kwargs))

    async def run_cancellable(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a long verb as `run` does, and give it `cancellation`. It is cancelled when the client goes away."""
        cancellation = Cancellation()
        try:
            return await self.run(work, *args, cancellation=cancellation, **kwargs)
        except asyncio.CancelledError:
            cancellation.cancel("the client went away")
            raise

    def alone(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Run `work` in its own thread, because it may take as long as its client likes.

        The request keeps its place until the work ends. The future raises the work's error. A stopping daemon does not
        wait for the thread.
        """
        self._slot.hold()
        return in_thread(work, self._slot.release)

    @cached_property
    def _sent(self) -> dict[str, list[str]]:
        """Return the parameters as they were sent. Bytes that are no UTF-8 become surrogates."""
        return parse_qs(self.request.rel_url.raw_query_string, keep_blank_values=True, errors="surrogateescape")

    @cached_property
    def query(self) -> Query:
        """Return all values of all parameters."""
        return {valid_unicode(name): [valid_unicode(value) for value in values] for name, values in self._sent.items()}

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter's first value."""
        return self.query.get(name, [default])[0]

    def texts(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter that may be repeated."""
        return tuple(self.query.get(name, ()))

    def file_name(self, name: str) -> str:
        """Return a parameter that names a file, whose bytes need not be UTF-8 (os.fsdecode)."""
        return self._sent.get(name, [""])[0]

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean in Docker's spelling: "", 0, no, false and none are false, everything else is true."""
        values = self.query.get(name)
        return parse_flag(values[0]) if values else default

    def number(self, name: str) -> int | None:
        """Return a whole number of 64 bits, or None for an empty one. Raise InvalidInput."""
        return parse_number(name, self.text(name))

    def filters(self) -> dict[str, list[str]]:
        return parse_filters(self.text("filters"))

    def json_parameter(self, name: str, type: type[T], default: T) -> T:
        """Return a parameter that holds JSON, or `default` if it is missing, empty or null. Raise InvalidInput."""
        return parse_json(name, self.text(name), type, default)

    async def body(self) -> bytes:
        """Return the whole body. Raise TooLarge past `BODY_LIMIT`, InvalidInput for a NUL, plain or escaped in JSON."""
        parts, size = [], 0
        while part := await self.request.content.readany():
            size += len(part)
            if size > BODY_LIMIT:
                raise TooLarge(f"the request's body is larger than {BODY_LIMIT >> 20} MiB")
            parts.append(part)
        content = b"".join(parts)
        if b"\0" in content or (b"u0000" in content and _NUL.search(content)):
            raise InvalidInput("the request's body holds a NUL character, which no name, path or argument can have")
        return content

    async def json(self, type: type[T]) -> T:
        """Return the body, decoded as Go does (`go_json`). An empty one and null are an empty object.

        Raise InvalidInput for what is no JSON, or is not called JSON.
        """
        raw = await self.body()
        _check_type(self.request.headers.get("Content-Type", ""), empty=not raw)
        document = go_json.parse(raw) if raw else None
        return go_json.convert({} if document is None else document, type)

    def caller(self) -> Caller | None:
        """Return the process at the other end of a Unix socket; None over TCP. Raise Forbidden for an unmapped user."""
        connection = self.request.get_extra_info("socket")
        if connection is None or connection.family != socket.AF_UNIX:
            return None
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        _, uid, gid = _PEER.unpack(raw)
        if uid < 0:
            raise Forbidden("the caller's user id is not known in this namespace")
        return Caller(uid, gid, _groups(uid, gid))


def in_thread(work: Callable[[], T], after: Callable[[], object] = ignore) -> asyncio.Future[T]:
    """Run `work` and then `after` in a thread of their own. The future raises the work's error."""
    ended: ConcurrentFuture[T] = ConcurrentFuture()
    ended.set_running_or_notify_cancel()

    def run() -> None:
        try:
            ended.set_result(work())
        except BaseException as error:  # the future raises it
            ended.set_exception(error)
        finally:
            after()

    threading.Thread(target=run, name="lamina-stream", daemon=True).start()
    return asyncio.wrap_future(ended)


def _groups(uid: int, gid: int) -> tuple[int, ...]:
    try:
        return tuple(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    except KeyError:
        return (gid,)


def _check_type(header: str, *, empty: bool) -> None:
    """Refuse a body that does not call itself JSON: web pages may send other types without a preflight request.

    Rule: moby, api/server/httputils, CheckForJSON.
    """
    if not header:
        if not empty:
            raise InvalidInput("malformed Content-Type header (): mime: no media type")
    elif header.partition(";")[0].strip().lower() != "application/json":
        raise InvalidInput(f"unsupported Content-Type header ({header}): must be 'application/json'")


def dump(value: Any) -> bytes:
    """Return JSON as the daemon writes it: one line, with a line end."""
    return encode_json(value) + b"\n"


def reply(value: Any, status: int = 200) -> web.Response:
    """Return an answer in JSON."""
    return json_reply(dump(value), status)


def json_reply(text: bytes, status: int = 200) -> web.Response:
    """Return an answer of JSON that is written already."""
    return web.Response(status=status, body=text, content_type="application/json")


def empty(status: int = 204) -> web.Response:
    """Return an answer without a body."""
    return web.Response(status=status)
