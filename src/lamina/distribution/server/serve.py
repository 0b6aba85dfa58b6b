"""Running the registry: its parts from a configuration, a listening socket, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import web

from lamina.distribution.server.app import App
from lamina.distribution.server.auth.gate import OpenGate
from lamina.distribution.server.config import Config
from lamina.distribution.server.metadata.sqlite import SQLiteDatabase
from lamina.distribution.server.registry import Registry
from lamina.distribution.server.storage.local import LocalStorage
from lamina.errors import InvalidInput, Unavailable

_log = logging.getLogger(__name__)


def serve(config: Config, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told the address, such as `127.0.0.1:5000`, once requests are taken.

    Raises InvalidInput for a configuration that does not hold together, Unavailable where the address cannot be had.
    """
    asyncio.run(_serve(config, ready or (lambda address: None)))


async def _serve(config: Config, ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as parts:
        registry = await assemble(config, parts)
        address = await listen(registry, parts)
        ready(address)
        await stop.wait()


async def assemble(config: Config, parts: AsyncExitStack) -> Registry:
    """Open what the configuration names; `parts` closes it."""
    if config.root is None:
        raise InvalidInput("The registry needs a root directory", advice="Give --root DIR.")
    root = Path(config.root)
    root.mkdir(parents=True, exist_ok=True)
    storage = LocalStorage(root)
    parts.push_async_callback(storage.close)
    database = SQLiteDatabase(root / "registry.sqlite")
    parts.push_async_callback(database.close)
    return Registry(config, database, storage, OpenGate())


async def listen(registry: Registry, parts: AsyncExitStack) -> str:
    """Take requests at the configured address; gives the real one. `parts` ends it, letting requests finish."""
    host, _, port = registry.config.listen.rpartition(":")
    server = web.Server(App(registry), access_log=None, keepalive_timeout=75)
    runner = web.ServerRunner(server, access_log=None)
    await runner.setup()
    parts.push_async_callback(runner.cleanup)
    try:
        site = web.TCPSite(runner, host.strip("[]") or None, int(port), backlog=1024, shutdown_timeout=10)
        await site.start()
    except (OSError, ValueError) as error:
        raise Unavailable(f"The registry cannot listen on {registry.config.listen}: {error}") from error
    bound = runner.addresses[0]
    return f"{bound[0]}:{bound[1]}"
