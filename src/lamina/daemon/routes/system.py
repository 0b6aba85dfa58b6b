"""`/_ping`, `/version`, `/info`, `/events`, `/system/df`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from aiohttp import web

from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, dump, reply
from lamina.daemon.http.routing import NEWEST, Route, dotted
from lamina.daemon.http.stream import feed_response
from lamina.daemon.render import container, disk_usage, image
from lamina.daemon.render import event as events
from lamina.daemon.render import system as render
from lamina.daemon.render.disk_usage import VolumeUsage
from lamina.daemon.render.kept_items import KeptItems
from lamina.engine import Engine
from lamina.engine.event_feed import FILTERS, LONGEST, fits
from lamina.errors import InvalidInput
from lamina.events import Event, Subscription
from lamina.formats.matching import Filters, check_names
from lamina.formats.times import parse_moment

_PING_HEADERS = {
    "Api-Version": dotted(NEWEST),
    "Builder-Version": "2",
    "Docker-Experimental": "true",
    "Ostype": "linux",
    "Swarm": "inactive",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
}


class SystemRoutes:
    """The endpoints of the engine as a whole."""

    def __init__(self, engine: Engine, *, debug: bool = False) -> None:
        self._engine = engine
        self._debug = debug
        self._listeners = 0
        self._images = KeptItems(image.listed)
        self._containers = KeptItems(container.counted)

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/_ping", self.ping),
            Route("HEAD", "/_ping", self.ping),
            Route("GET", "/version", self.version),
            Route("GET", "/info", self.info),
            Route("GET", "/events", self.events, Kind.STREAM),
            Route("GET", "/system/df", self.usage),
        ]

    async def ping(self, call: Call) -> web.StreamResponse:
        body = "OK" if call.request.method == "GET" else None
        return web.Response(text=body, headers=_PING_HEADERS)

    async def version(self, call: Call) -> web.StreamResponse:
        return reply(render.version(await call.run(self._engine.info)))

    async def info(self, call: Call) -> web.StreamResponse:
        return reply(render.info(await call.run(self._engine.info), self._listeners, self._debug, call.version))

    async def events(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        check_names(filters, FILTERS)
        since, until = _moment(call, "since"), _moment(call, "until")
        if until is not None and since is not None and until < since:
            raise InvalidInput(
                f"`since` time ({call.text('since')}) cannot be after `until` time ({call.text('until')})"
            )
        media_type = events.media_type(call.request.headers.get("Accept", ""), call.version)
        write = partial(_lines, filters=filters, version=call.version, media_type=media_type)
        if until is not None and until <= time.time_ns():
            past = self._engine.bus.past(since or 0, until)
            return web.Response(body=b"".join(write(past)), content_type=media_type)
        return await self._follow(call, since, until, media_type, write)

    async def _follow(
        self, call: Call, since: int | None, until: int | None, media_type: str, write: Callable[..., Iterator[bytes]]
    ) -> web.StreamResponse:
        feed = self._engine.bus.subscribe(since)
        timer = None
        if until is not None:
            wait = min((until - time.time_ns()) / 1e9, LONGEST)
            timer = asyncio.get_running_loop().call_later(wait, feed.close)
        self._listeners += 1
        try:
            return await feed_response(call, write(feed), media_type, stop=feed.close)
        finally:
            self._listeners -= 1
            if timer is not None:
                timer.cancel()

    async def usage(self, call: Call) -> web.StreamResponse:
        """Answer in the form of the client's version. Version 1.52 has both forms, unless `verbose` is set."""
        kinds = call.texts("type") if call.version >= (1, 42) else ()
        for kind in kinds:
            if kind not in disk_usage.KINDS:
                raise InvalidInput(f"unknown object type: {kind}")
        totals = await call.run(self._totals, kinds or disk_usage.KINDS, call.version)
        if call.version < (1, 52):
            return reply(disk_usage.older(totals, call.version))
        verbose = call.flag("verbose")
        older = {} if verbose else disk_usage.older(totals, call.version)
        return reply(older | disk_usage.newer(totals, verbose=verbose))

    def _totals(self, kinds: Sequence[str], version: tuple[int, int]) -> dict[str, disk_usage.Totals]:
        totals: dict[str, disk_usage.Totals] = {}
        if "image" in kinds:
            totals["image"] = disk_usage.images(self._engine.images.usage(), version, self._images)
            if sizes := self._engine.remote_layers():  # nothing that Docker's daemon has
                totals["remote-layer"] = disk_usage.remote_layers(sizes)
        if "container" in kinds:
            containers = self._engine.containers.list(all=True, size=True)
            totals["container"] = disk_usage.containers(containers, version, self._containers)
        if "volume" in kinds:
            volumes = self._engine.volumes
            totals["volume"] = disk_usage.volumes(
                [VolumeUsage(item, len(volumes.users(item.name)), volumes.usage(item)) for item in volumes.list()]
            )
        if "build-cache" in kinds:
            totals["build-cache"] = disk_usage.build_cache(self._engine.builds.usage())
        return totals


def _moment(call: Call, name: str) -> int | None:
    """Return a time in nanoseconds since the epoch, or None. Raise InvalidInput naming the parameter."""
    text = call.text(name)
    try:
        return parse_moment(text) if text else None
    except InvalidInput as error:
        raise InvalidInput(f"invalid value for '{name}': {error.message}") from error


def _lines(
    feed: list[Event] | Subscription, filters: Filters, version: tuple[int, int], media_type: str
) -> Iterator[bytes]:
    start = b"\x1e" if media_type == events.JSON_SEQUENCE else b""  # RFC 7464
    for item in feed:
        if fits(item, filters) and events.is_known(item, version):
            yield start + dump(events.event(item, version))
