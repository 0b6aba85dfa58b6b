"""Webhooks: pushes, deletes and pulls are sent to URLs in the order they happened, and again where that fails."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

import aiohttp

from lamina.errors import InvalidInput
from lamina.formats.document import encode
from lamina.formats.times import format_time
from lamina.progress import ignore
from lamina.registry.config import Config, Hook

Notify = Callable[[str, Mapping[str, Any]], None]

_log = logging.getLogger(__name__)
_QUEUED = 10_000  # events that wait for one hook; the oldest go first
_ATTEMPTS = 8
_FIRST_PAUSE = 0.5  # seconds, doubling
_TIMEOUT = aiohttp.ClientTimeout(total=15)


async def open_hooks(config: Config, closing: AsyncExitStack) -> Notify:
    """Start a sender for each hook; `closing` stops them. Raise InvalidInput for a secret that cannot be read."""
    if not config.hooks:
        return ignore
    session = await closing.enter_async_context(aiohttp.ClientSession(timeout=_TIMEOUT))
    queues: list[tuple[Hook, asyncio.Queue[bytes]]] = []
    for hook in config.hooks:
        queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)
        task = asyncio.create_task(_send_forever(session, hook, _secret(hook), queue))
        closing.callback(task.cancel)
        queues.append((hook, queue))

    def notify(event: str, fields: Mapping[str, Any]) -> None:
        wanting = [queue for hook, queue in queues if event in hook.events]
        if not wanting:
            return
        stamp = format_time(time.time_ns(), digits=3)
        body = encode({"id": uuid.uuid4().hex, "timestamp": stamp, "action": event, **fields})
        for queue in wanting:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(body)

    return notify


async def _send_forever(session: aiohttp.ClientSession, hook: Hook, secret: bytes, queue: asyncio.Queue[bytes]) -> None:
    while True:
        body = await queue.get()
        headers = {"Content-Type": "application/json"}
        if secret:
            headers["X-Lamina-Signature"] = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        if not await _send(session, hook.url, headers, body):
            _log.warning("a notification was given up after %d attempts", _ATTEMPTS)


async def _send(session: aiohttp.ClientSession, url: str, headers: dict[str, str], body: bytes) -> bool:
    for attempt in range(_ATTEMPTS):
        with suppress(aiohttp.ClientError, TimeoutError):
            async with session.post(url, data=body, headers=headers) as answer:
                if answer.status < 300:
                    return True
        await asyncio.sleep(_FIRST_PAUSE * 2**attempt)
    return False


def _secret(hook: Hook) -> bytes:
    if hook.secret_file is None:
        return b""
    try:
        return hook.secret_file.read_bytes().strip()
    except OSError as error:
        raise InvalidInput(f"The secret file {hook.secret_file} cannot be read") from error
