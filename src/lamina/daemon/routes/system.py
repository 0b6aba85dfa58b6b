"""`/_ping`, `/version`, `/info`, `/events`, `/system/df`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from lamina.daemon.http.admission import Kind
from lamina.daemon.http.call import Call, dump, reply
from lamina.daemon.http.routing import NEWEST, Route, dotted
from lamina.daemon.http.stream import feed_response
from lamina.daemon.render import event as events
from lamina.daemon.render import system as render
from lamina.daemon.render.container import listed as render_container
from lamina.daemon.render.image import listed
from lamina.daemon.render.volume import volume as render_volume
from lamina.engine import Engine
from lamina.engine.event_feed import FILTERS, LONGEST, fits
from lamina.events import Event, Subscription
from lamina.formats.matching import Filters, check_names
from lamina.formats.times import parse_moment
from lamina.volumes.volume import Volume

_PING_HEADERS = {
    "Api-Version": dotted(NEWEST),
    "Builder-Version": "1",
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
        return reply(render.info(await call.run(self._engine.info), self._listeners, self._debug))

    async def events(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        check_names(filters, FILTERS)
        since = parse_moment(call.text("since")) if call.text("since") else None
        until = parse_moment(call.text("until")) if call.text("until") else None
        if until is not None and until <= time.time_ns():
            past = self._engine.bus.past(since or 0, until)
            return web.Response(body=b"".join(_lines(past, filters)), content_type="application/json")
        return await self._follow(call, since, until, filters)

    async def _follow(self, call: Call, since: int | None, until: int | None, filters: Filters) -> web.StreamResponse:
        feed = self._engine.bus.subscribe(since)
        timer = None
        if until is not None:
            wait = min((until - time.time_ns()) / 1e9, LONGEST)
            timer = asyncio.get_running_loop().call_later(wait, feed.close)
        self._listeners += 1
        try:
            return await feed_response(call, _lines(feed, filters), "application/json", stop=feed.close)
        finally:
            self._listeners -= 1
            if timer is not None:
                timer.cancel()

    async def usage(self, call: Call) -> web.StreamResponse:
        wanted = set(call.texts("type")) or {"image", "container", "volume", "build-cache"}
        return reply(await call.run(self._usage, wanted, call.version))

    def _usage(self, wanted: set[str], version: tuple[int, int]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if "image" in wanted:
            images = self._engine.images.usage()
            found["LayersSize"] = images.layers_size
            found["Images"] = [listed(item, version) for item in images.images]
        if "container" in wanted:
            containers = self._engine.containers.list(all=True, size=True)
            found["Containers"] = [render_container(item) for item in containers]
        if "volume" in wanted:
            found["Volumes"] = [self._volume(volume) for volume in self._engine.volumes.list()]
        if "build-cache" in wanted:
            found["BuildCache"] = []
        return found | ({"BuilderSize": 0} if version < (1, 42) else {})

    def _volume(self, volume: Volume) -> dict[str, Any]:
        volumes = self._engine.volumes
        usage = {"RefCount": len(volumes.users(volume.name)), "Size": volumes.usage(volume)}
        return render_volume(volume) | {"UsageData": usage}


def _lines(feed: list[Event] | Subscription, filters: Filters) -> Iterator[bytes]:
    return (dump(events.event(item)) for item in feed if fits(item, filters))
