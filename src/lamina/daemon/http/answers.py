"""Answers that routes do not make: errors by their kind, lines of progress, and no answer at all."""

from __future__ import annotations

import http
import json
import logging
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from lamina.errors import CommandFailed, LaminaError, outcome
from lamina.formats.document import encode_json
from lamina.formats.sizes import human_size
from lamina.linux.writing import is_disk_full, no_space
from lamina.progress import Aux, Message, Output, Status

_LOG = logging.getLogger("lamina.daemon")


def _recognised(error: BaseException) -> BaseException:
    """Return `error`, or NoSpace in its place: a full disk may show wherever a file is written."""
    return no_space(error) if is_disk_full(error) else error


def message_of(error: BaseException) -> str:
    """Return the sentence for people. An unexpected error is only named; its traceback goes to the log."""
    error = _recognised(error)
    if isinstance(error, LaminaError):
        return str(error)
    _LOG.error("unexpected error", exc_info=error)
    return f"internal error: {type(error).__name__}: {error}"


def raw_refusal(error: LaminaError) -> bytes:
    """Return a whole HTTP answer for a connection that is refused before it sends a request."""
    body = json.dumps({"message": str(error)}).encode() + b"\n"
    status = http.HTTPStatus(outcome(error).http_status)
    head = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def error_response(error: BaseException) -> web.Response:
    """Return the answer for an error. "Not modified" has no body."""
    status = outcome(_recognised(error)).http_status
    if status == 304:
        return web.Response(status=304)
    body = encode_json({"message": message_of(error)}) + b"\n"
    # As bytes, so that no charset is added: Docker's client reads the message of exactly this type only.
    return web.Response(status=status, body=body, content_type="application/json")


RED, PLAIN = "\x1b[91m", "\x1b[0m"  # around errors of a build, as dockerd sends them


def message_line(message: Message) -> dict[str, Any]:
    """Return a message as Docker's jsonmessage."""
    match message:
        case Output(text, error):
            return {"stream": f"{RED}{text}{PLAIN}" if error else text}
        case Aux(value):
            return {"aux": value}
        case Status():
            return _status_line(message)


def _status_line(status: Status) -> dict[str, Any]:
    line: dict[str, Any] = {"status": status.status}
    detail = {
        name: value for name, value in (("current", status.current), ("total", status.total)) if value is not None
    }
    if status.id is not None or detail:
        line["progressDetail"] = detail
    if status.current is not None:
        line["progress"] = _bar(status.current, status.total)
    if status.id is not None:
        line["id"] = status.id
    return line


def _bar(current: int, total: int | None) -> str:
    """Return the progress bar for Docker's clients that do not draw their own."""
    if not total:
        return human_size(current)
    filled = min(50, current * 50 // total)
    arrow = "=" * filled + (">" if filled < 50 else "")
    return f"[{arrow:<50}] {human_size(current):>8}/{human_size(total)}"


_COMMAND_FACTS = (
    "command",
    "output",
    "line",
    "last_line",
    "excerpt",
    "image",
)  # for our client


def error_line(error: BaseException) -> dict[str, Any]:
    """Return the last line of a stream that failed. A failed command's exit code is part of it."""
    message = message_of(error)
    detail: dict[str, Any] = {"message": message}
    if isinstance(error, CommandFailed) and "exit_code" in error.facts:
        facts = {name: error.facts[name] for name in _COMMAND_FACTS if name in error.facts}
        detail = {"code": error.facts["exit_code"], "message": message, **({"facts": facts} if facts else {})}
    return {"errorDetail": detail, "error": message}


class Given(web.StreamResponse):
    """An answer that writes nothing: it was sent already, or its client is gone. The server closes the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: Any = b"") -> None:
        return None
