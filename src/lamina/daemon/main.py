"""The daemon from start to end: an Engine, its API on the listening sockets, and a graceful stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import cast

from aiohttp import web

from lamina.api.containers import LogConfig, Ulimit
from lamina.daemon.collection import collect_rarely
from lamina.daemon.config import Options, listen_on
from lamina.daemon.http.admission import Gates
from lamina.daemon.http.app import Api
from lamina.daemon.http.connection import Connection, Handler
from lamina.daemon.listen import BACKLOG, Listener, listen, listener_names, unix_path
from lamina.daemon.routes.all import all_routes
from lamina.daemon.routes.buildkit import BuildKitRoutes
from lamina.daemon.service_manager import ServiceManager
from lamina.dashboard.server import Dashboard
from lamina.engine import Engine
from lamina.engine.settings import EngineSettings
from lamina.errors import Conflict
from lamina.formats.http import BrowserGuard
from lamina.formats.sizes import parse_size
from lamina.formats.text import printable
from lamina.linux.files import make_private_by_default, usual_directory
from lamina.linux.processes import descriptor_limit, raise_limit
from lamina.network.settings import NetworkSettings
from lamina.sandbox.spec import DEFAULT_CGROUP, DEFAULT_SHM, Defaults

_LOG = logging.getLogger("lamina.daemon")
_READ_BUFFER = 1 << 20  # bytes of a request's body received ahead of who reads it
_TAKEN = 8  # connections that asyncio takes (as many as `backlog`) before any of them can be refused
_HEAD_LIMIT = 64 << 10  # bytes of a request line or header: `buildargs` and `X-Registry-Config` are long


def serve(options: Options) -> None:
    """Run a daemon until SIGTERM or SIGINT.

    Raise Conflict if the data root, a socket or the pid file is in use, InvalidInput, or Unavailable. Containers keep
    running afterwards, unless live-restore is off.
    """
    manager = ServiceManager.take()
    make_private_by_default()
    _log(options)
    raise_limit()
    with ExitStack() as end:
        end.enter_context(_pidfile(options.pidfile))
        listeners = [listener for host in listen_on(options) for listener in listen(host, options, manager)]
        for listener in listeners:
            end.callback(listener.close)
        dashboard = _dashboard(options)
        if dashboard is not None:
            end.callback(dashboard.close)
        engine = end.enter_context(Engine(options.data_root, options.exec_root, settings=engine_settings(options)))
        engine.start()
        collect_rarely()
        asyncio.run(_run(engine, options, listeners, dashboard, manager))
        if not options.live_restore:
            engine.containers.stop_all(options.shutdown_timeout)


def _dashboard(options: Options) -> Dashboard | None:
    return Dashboard(options.dashboard, read_only=options.dashboard_read_only) if options.dashboard else None


async def _run(
    engine: Engine,
    options: Options,
    listeners: list[Listener],
    dashboard: Dashboard | None,
    manager: ServiceManager,
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    gates = Gates(descriptor_limit())
    buildkit = BuildKitRoutes(engine, options.builder.entitlements.names)
    api = Api(all_routes(engine, options, buildkit, dashboard), gates, browser_guard(options))
    runner = web.AppRunner(api.application(), handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    server = cast(web.Server, runner.server)

    def connection() -> Connection:
        handler = Handler(server, loop, read_buffer=_READ_BUFFER, head=_HEAD_LIMIT)
        return Connection(handler, loop, gates.connections, buildkit.http2)

    doors: list[asyncio.Server] = []
    try:
        for listener in listeners:
            doors.append(await loop.create_server(connection, sock=listener.socket, ssl=listener.tls, backlog=_TAKEN))
            listener.socket.listen(BACKLOG)
        _LOG.info("API listen on %s", ", ".join(listen_on(options)))
        async with AsyncExitStack() as end:
            if dashboard is not None:
                await end.enter_async_context(dashboard.serve(unix_path(listeners), gates.dashboard.enter))
            manager.tell("READY=1")
            await stopped.wait()
        _LOG.info("stopping")
    finally:
        for door in doors:
            door.close()
        await runner.cleanup()
        api.close()


def browser_guard(options: Options) -> BrowserGuard:
    """Return the guard that lets in the configured hosts and origins."""
    names = {name.lower() for name in options.allowed_hosts} | listener_names(options.hosts)
    return BrowserGuard(frozenset(names), frozenset(options.allowed_origins))


def engine_settings(options: Options) -> EngineSettings:
    """Return the part of the settings that the Engine needs."""
    return EngineSettings(
        networks=NetworkSettings(
            bip=options.bip,
            bip6=options.bip6,
            bridge=options.bridge,
            ipv6=options.ipv6,
            fixed_cidr=options.fixed_cidr,
            fixed_cidr_v6=options.fixed_cidr_v6,
            default_gateway=options.default_gateway,
            default_gateway_v6=options.default_gateway_v6,
            pools=tuple((pool.base, pool.size) for pool in options.default_address_pools),
            host_ip=options.ip,
            userland_proxy=options.userland_proxy,
            allow_direct_routing=options.allow_direct_routing,
            ip_forward=options.ip_forward,
            ip_forward_no_drop=options.ip_forward_no_drop,
            host_gateway_ips=options.host_gateway_ips or tuple(filter(None, [options.host_gateway_ip])),
            default_options=options.default_network_opts,
        ),
        storage_driver=options.storage_driver or None,
        runtime=_runtime(options),
        runtimes=tuple(options.runtimes),
        registry_mirrors=options.registry_mirrors,
        insecure_registries=options.insecure_registries,
        max_downloads=options.max_concurrent_downloads,
        max_uploads=options.max_concurrent_uploads,
        live_restore=options.live_restore,
        labels=options.labels,
        userns_remap=options.userns_remap,
        build_cache=options.builder.gc.limits,
        containers=Defaults(
            log=LogConfig(options.log_driver, options.log_opts),
            dns=options.dns,
            dns_options=options.dns_opts,
            dns_search=options.dns_search,
            ulimits=tuple(
                Ulimit(item.name or name, item.hard, item.soft) for name, item in options.default_ulimits.items()
            ),
            init=options.init,
            init_path=options.init_path,
            ipc_mode=options.default_ipc_mode,
            cgroupns_mode=options.default_cgroupns_mode,
            cdi_folders=options.cdi_spec_dirs,
            shm_size=parse_size(options.default_shm_size or "0", "default-shm-size") or DEFAULT_SHM,
            cgroup_parent=options.cgroup_parent or DEFAULT_CGROUP,
            runtimes=(options.default_runtime,) if options.default_runtime else (),
        ),
    )


def _runtime(options: Options) -> str | None:
    entry = options.runtimes.get(options.default_runtime)
    return entry.path if entry and entry.path else options.default_runtime or None


def _log(options: Options) -> None:
    level = logging.DEBUG if options.debug else options.log_level.upper()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    for name in ("asyncio", "h2", "hpack"):  # they tell every step, at a cost
        logging.getLogger(name).setLevel(logging.WARNING)


class _PrintableFormatter(logging.Formatter):
    """Make each message one printable line, so that texts of images and registries can forge no other line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record), "\t")


class _pidfile:
    """Holds the pid file while entered. Raises Conflict if a live process holds it. An empty path means no file."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None

    def __enter__(self) -> None:
        if self._path is None:
            return
        pid = self._owner()
        if pid and pid != os.getpid() and _is_python(pid):
            raise Conflict(
                f"pid file found, ensure lamina is not running or delete {self._path} (process {pid} is running)"
            )
        usual_directory(self._path.parent)
        self._path.write_text(str(os.getpid()))

    def _owner(self) -> int:
        try:
            return int(self._path.read_text()) if self._path else 0
        except (OSError, ValueError):
            return 0

    def __exit__(self, *error: object) -> None:
        if self._path is not None and self._owner() == os.getpid():
            self._path.unlink(missing_ok=True)


def _is_python(pid: int) -> bool:
    """Return whether the process is alive and could be our daemon: the kernel reuses pids."""
    try:
        return b"daemon" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
