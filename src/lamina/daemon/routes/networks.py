"""`/networks`: list, inspect, create, connect, disconnect, remove, prune."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from lamina.api.containers import EndpointConfig
from lamina.api.containers import decode as convert
from lamina.containers.containers import Containers
from lamina.daemon.http.call import Call, empty, reply
from lamina.daemon.http.decoding import any_fits, check_names, flag, until
from lamina.daemon.http.routing import Route
from lamina.daemon.render.network import network as render
from lamina.errors import NotFound
from lamina.formats.matching import Filters, labels_match
from lamina.formats.times import parse_time
from lamina.network.model import PREDEFINED, Ipam, Network, NetworkOptions, Subnet
from lamina.network.networks import Networks

_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})


class Connection(msgspec.Struct, rename="pascal"):
    """The body of connect and disconnect."""

    container: str = ""
    endpoint_config: dict[str, Any] | None = None
    force: bool = False


class IpamConfig(msgspec.Struct, rename="pascal"):
    """One range of addresses, in CIDR notation."""

    subnet: str = ""
    ip_range: str = msgspec.field(name="IPRange", default="")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] | None = None


class IpamBody(msgspec.Struct, rename="pascal"):
    """How a network's addresses are chosen."""

    driver: str | None = "default"
    options: dict[str, str] | None = None
    config: list[IpamConfig] | None = None


class CreateBody(msgspec.Struct, rename="pascal"):
    """The body of create."""

    name: str = ""
    driver: str = "bridge"
    check_duplicate: bool = False
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    enable_ipv6: bool | None = msgspec.field(name="EnableIPv6", default=None)
    ipam: IpamBody | None = msgspec.field(name="IPAM", default=None)
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None

    def wanted(self) -> NetworkOptions:
        given = self.ipam or IpamBody()
        subnets = tuple(
            Subnet(
                subnet=config.subnet,
                ip_range=config.ip_range,
                gateway=config.gateway,
                reserved=config.auxiliary_addresses or {},
            )
            for config in given.config or ()
        )
        return NetworkOptions(
            driver=self.driver,
            internal=self.internal,
            attachable=self.attachable,
            enable_ipv6=bool(self.enable_ipv6),
            ipam=Ipam(driver=given.driver or "default", options=given.options or {}, subnets=subnets),
            labels=self.labels or {},
            options=self.options or {},
        )


class NetworkRoutes:
    """The endpoints of networks."""

    def __init__(self, networks: Callable[[], Networks], containers: Containers) -> None:
        """`networks` opens the networks, which need root, when the first request is about them."""
        self._networks = networks
        self._containers = containers

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/networks", self.list),
            Route("POST", "/networks/create", self.create),
            Route("POST", "/networks/prune", self.prune),
            Route("GET", "/networks/{id}", self.inspect),
            Route("DELETE", "/networks/{id}", self.remove),
            Route("POST", "/networks/{id}/connect", self.connect),
            Route("POST", "/networks/{id}/disconnect", self.disconnect),
        ]

    async def list(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        check_names(filters, _FILTERS)
        flag(filters, "dangling", False)

        def work() -> list[dict[str, Any]]:
            networks = [item for item in self._networks().list() if self._fits(item, filters)]
            # Since 1.28 the list leaves the containers out: they are many, and inspect has them.
            return [self._shown(item, call, containers=call.version < (1, 28)) for item in networks]

        return reply(await call.run(work))

    async def inspect(self, call: Call) -> web.StreamResponse:
        def work() -> dict[str, Any]:
            return self._shown(self._networks().get(call.places["id"]), call, containers=True)

        return reply(await call.run(work))

    async def create(self, call: Call) -> web.StreamResponse:
        body = await call.json(CreateBody)
        made = await call.run(self._networks().create, body.name, body.wanted())
        return reply({"Id": made.id, "Warning": ""}, 201)

    async def remove(self, call: Call) -> web.StreamResponse:
        await call.run(self._networks().remove, call.places["id"])
        return empty()

    async def connect(self, call: Call) -> web.StreamResponse:
        body = await call.json(Connection)
        endpoint = convert(body.endpoint_config or {}, EndpointConfig)
        await call.run(self._containers.connect, body.container, call.places["id"], endpoint)
        return empty(200)

    async def disconnect(self, call: Call) -> web.StreamResponse:
        body = await call.json(Connection)
        await call.run(self._containers.disconnect, body.container, call.places["id"], force=body.force)
        return empty(200)

    async def prune(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        check_names(filters, {"label", "label!", "until"})
        before = until(filters)

        def keep(item: Network) -> bool:
            return not labels_match(item.labels, filters) or (before is not None and parse_time(item.created) > before)

        return reply({"NetworksDeleted": list(await call.run_cancellable(self._networks().prune, keep)) or None})

    def _shown(self, item: Network, call: Call, *, containers: bool) -> dict[str, Any]:
        endpoints = self._networks().endpoints(item.id) if containers else ()
        return render(item, endpoints, self._name_of, call.version)

    def _name_of(self, container_id: str) -> str:
        try:
            return self._containers.get(container_id).name
        except NotFound:
            return ""  # a step of a build

    def _fits(self, item: Network, filters: Filters) -> bool:
        kind = "builtin" if item.name in PREDEFINED else "custom"
        for name, value in (("driver", item.driver), ("scope", "local"), ("type", kind)):
            if filters.get(name) and value not in filters[name]:
                return False
        if "dangling" in filters:
            unused = kind == "custom" and not self._networks().endpoints(item.id)
            if unused != flag(filters, "dangling", False):
                return False
        ids, names = filters.get("id", ()), filters.get("name", ())
        return any_fits([item.id], ids) and any_fits([item.name], names) and labels_match(item.labels, filters)
