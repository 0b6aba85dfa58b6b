"""Running the registry: its parts from a configuration, a listening socket, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import web

from lamina.errors import InvalidInput, Unavailable
from lamina.linux.files import make_private_by_default, private_directory
from lamina.progress import ignore
from lamina.registry.access_log import AccessLog, open_log
from lamina.registry.app import App
from lamina.registry.auth.gates import BasicGate, Gate, Grants, OpenGate
from lamina.registry.auth.htpasswd import Htpasswd
from lamina.registry.auth.tokens import Signer, TokenEndpoint, TokenGate, signing_key
from lamina.registry.collect import collect_forever
from lamina.registry.config import Config, Tls
from lamina.registry.hooks import open_hooks
from lamina.registry.http_server import Edge
from lamina.registry.metadata.database import Database
from lamina.registry.metadata.postgres import PostgresDatabase
from lamina.registry.metadata.sqlite import SQLiteDatabase
from lamina.registry.proxy_cache import ProxyCache
from lamina.registry.pull_times import Pulls
from lamina.registry.registry import Registry
from lamina.registry.storage.local import LocalStorage
from lamina.registry.storage.objects import ObjectStorage, connect
from lamina.registry.storage.protocol import Storage

DATABASE = "registry.sqlite"  # below the root
_log = logging.getLogger(__name__)


def serve(config: Config, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP opens the access log anew.

    `ready` gets the address, such as `127.0.0.1:5000`, once requests are taken.

    Raise InvalidInput for a configuration that does not hold together, Unavailable where the address cannot be had.
    """
    make_private_by_default()
    asyncio.run(_serve(config, ready or ignore))


async def _serve(config: Config, ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as parts:
        registry = await assemble(config, parts)
        if isinstance(registry.log, AccessLog):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, registry.log.reopen)
        address = await listen(registry, parts)
        collecting = asyncio.create_task(collect_forever(registry))
        parts.callback(collecting.cancel)
        ready(address)
        await stop.wait()


async def assemble(config: Config, parts: AsyncExitStack) -> Registry:
    """Open what the configuration names; `parts` closes it."""
    database = _database(config)
    parts.push_async_callback(database.close)
    storage = _storage(config, database)
    parts.push_async_callback(storage.close)
    pulls = Pulls(database)
    parts.push_async_callback(pulls.close)
    gate, tokens = _gate(config)
    return Registry(
        config,
        database,
        storage,
        gate,
        pulls,
        tokens,
        log=open_log(config, parts),
        proxy_cache=ProxyCache(config, database, storage, parts) if config.upstreams else None,
        notify=await open_hooks(config, parts),
    )


def _gate(config: Config) -> tuple[Gate, TokenEndpoint | None]:
    """Return the gate, and the token endpoint where tokens are asked for. Raise InvalidInput for what does not fit."""
    auth = config.auth
    if auth.htpasswd is None:
        if auth.grants or auth.mode == "token":
            raise InvalidInput("auth needs an htpasswd file")
        return (OpenGate(), None)
    users, grants = Htpasswd(auth.htpasswd), Grants(auth.grants)
    if auth.mode == "basic":
        return (BasicGate(users, grants, auth.service), None)
    key_path = auth.signing_key or (Path(config.root) / "token-key.pem" if config.root else None)
    if key_path is None:
        raise InvalidInput("auth.mode token needs a signing-key that all replicas share")
    signer = Signer(signing_key(key_path), auth.service, auth.token_seconds)
    return (TokenGate(signer, grants, auth.realm), TokenEndpoint(users, grants, signer))


def _database(config: Config) -> Database:
    if config.database is not None:
        return PostgresDatabase(config.database)
    return SQLiteDatabase(_root(config) / DATABASE)


def _storage(config: Config, database: Database) -> Storage:
    if config.storage is not None:
        return ObjectStorage(connect(config.storage), database)
    return LocalStorage(_root(config))


def _root(config: Config) -> Path:
    if config.root is None:
        advice = "Give --root DIR, or name storage and database in the file of --config."
        raise InvalidInput("The registry needs a place", advice=advice)
    root = Path(config.root)
    private_directory(root)
    return root


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return the TLS settings of the listening socket. Raise InvalidInput for files that cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca is not None:
            context.load_verify_locations(cafile=tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"The certificate {tls.certificate} or its key {tls.key} cannot be used") from error
    return context


def _address(listen: str) -> tuple[str | None, int]:
    host, _, port = listen.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port[:6]) < 1 << 16):
        advice = "Write HOST:PORT, such as 0.0.0.0:5000."
        raise InvalidInput(f"{listen!r} is no address to listen on", advice=advice)
    return host.strip("[]") or None, int(port)


async def listen(registry: Registry, parts: AsyncExitStack) -> str:
    """Take requests at the configured address, and return the real address. Closing `parts` lets requests finish."""
    host, port = _address(registry.config.listen)
    server = Edge(App(registry), registry.config.head_timeout, registry.config.body_timeout)
    runner = web.ServerRunner(server, access_log=None)
    await runner.setup()
    parts.push_async_callback(runner.cleanup)
    try:
        context = server_context(registry.config.tls) if registry.config.tls else None
        site = web.TCPSite(runner, host, port, ssl_context=context, backlog=1024)
        await site.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise Unavailable(f"The registry cannot listen on {registry.config.listen}: {reason}") from error
    bound = runner.addresses[0]
    return f"{bound[0]}:{bound[1]}"
