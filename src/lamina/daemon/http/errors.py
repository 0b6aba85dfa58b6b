"""Errors as answers: the kind decides the status (lamina.errors.OUTCOMES), the body is `{"message": …}`."""

from __future__ import annotations

import http
import json
import logging

from aiohttp import web

from lamina.errors import LaminaError, outcome
from lamina.formats.document import encode_json
from lamina.linux.writing import is_disk_full, no_space

_LOG = logging.getLogger("lamina.daemon")


def _recognised(error: BaseException) -> BaseException:
    """Return `error`, or NoSpace in its place: a full disk may show wherever a file is written."""
    return no_space(error) if is_disk_full(error) else error


def message_of(error: BaseException) -> str:
    """The sentence for people. What is no error on purpose is logged with its trace, and named shortly."""
    error = _recognised(error)
    if isinstance(error, LaminaError):
        return str(error)
    _LOG.error("unexpected error", exc_info=error)
    return f"internal error: {type(error).__name__}: {error}"


def raw_refusal(error: LaminaError) -> bytes:
    """Return a whole answer for a connection that no request is read from."""
    body = json.dumps({"message": str(error)}).encode() + b"\n"
    status = http.HTTPStatus(outcome(error).http_status)
    head = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def error_response(error: BaseException) -> web.Response:
    """The answer for an error; one without a body for "not modified"."""
    status = outcome(_recognised(error)).http_status
    if status == 304:
        return web.Response(status=304)
    body = encode_json({"message": message_of(error)}) + b"\n"
    # As bytes, so that no charset is added: Docker's client reads the message of exactly this type only.
    return web.Response(status=status, body=body, content_type="application/json")
