"""Sandboxes (network namespaces) by id, and the endpoints that put them into networks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import msgspec

from lamina.errors import Conflict, LaminaError
from lamina.linux.user_namespaces import UserNamespace
from lamina.network.catalog import NetworkCatalog
from lamina.network.claims import Claims
from lamina.network.container_links import Interface, Routes, change_routes, set_up
from lamina.network.driver import Driver
from lamina.network.endpoints import Endpoints
from lamina.network.firewall import Firewall
from lamina.network.links import Links
from lamina.network.model import Endpoint, EndpointOptions, Network
from lamina.network.namespaces import Namespaces
from lamina.network.ports import Ports
from lamina.network.proxy.proxy import Proxy
from lamina.network.settings import NetworkSettings
from lamina.network.ways_out import port_targets, routes, ways_out

_LOG = logging.getLogger("lamina.network")


class Attachments:
    """Join sandboxes to networks, and take them out. Thread-safe; `close` leaves endpoints as they are."""

    def __init__(
        self,
        exec_root: Path,
        catalog: NetworkCatalog,
        drivers: Mapping[str, Driver],
        links: Links,
        firewall: Firewall,
        settings: NetworkSettings,
    ) -> None:
        self._catalog = catalog
        self._drivers = drivers
        self._links = links
        self._firewall = firewall
        self._namespaces = Namespaces(exec_root / "netns")
        self._endpoints = Endpoints(exec_root / "endpoints")
        self._proxy = Proxy(exec_root)
        self._ports = Ports(self._proxy, proxied=settings.userland_proxy)
        self._cleaner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lamina-links")
        self._claims = Claims(catalog, self._endpoints, self.settle)

    def close(self) -> None:
        """Finish what is being left, then end the threads and the proxy. A second call does nothing."""
        self._cleaner.shutdown()
        self._ports.close()
        self._namespaces.close()

    # starting

    def forget_lost(self) -> None:
        """Forget endpoints that were being left when the engine died, or are from before a reboot.

        Their interfaces go with `restore`.
        """
        for endpoint in self._endpoints.all():
            if not endpoint.sandbox_id or not self._namespaces.exists(endpoint.sandbox_id):
                self._endpoints.delete(endpoint)
        self._proxy.settle()

    def restore(self, network: Network) -> None:
        """Remove interfaces nobody knows from a network's bridge, and reserve its endpoints' published ports."""
        endpoints = self._endpoints.of_network(network.id)
        for stray in set(self._links.ports_of(network.bridge)) - {endpoint.host_interface for endpoint in endpoints}:
            self._links.remove(stray)
        for endpoint in endpoints:
            with suppress(Conflict):  # another program took the port meanwhile: translation works all the same
                self._ports.reserve(endpoint.ports, endpoint.port_targets)

    # what there is

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all endpoints, those that are being left included."""
        return self._endpoints.all()

    def of_network(self, network: Network) -> Sequence[Endpoint]:
        """Return the endpoints in `network`."""
        return self._endpoints.of_network(network.id)

    def of_sandbox(self, sandbox_id: str) -> Sequence[Endpoint]:
        """Return the sandbox's endpoints."""
        return self._endpoints.of_sandbox(sandbox_id)

    def sandbox(self, sandbox_id: str, userns: UserNamespace | None = None) -> Path:
        """Return the file that holds the sandbox's network namespace; made (loopback only) where there is none yet."""
        return self._namespaces.create(sandbox_id, userns)

    def sandboxes(self) -> set[str]:
        """Return the ids of all sandboxes that have a namespace or an endpoint."""
        return {e.sandbox_id for e in self._endpoints.all() if e.sandbox_id} | set(self._namespaces.names())

    def settle(self) -> None:
        """Wait until what was left before is gone for good."""
        self._cleaner.submit(lambda: None).result()

    def unused(self, network: Network) -> AbstractContextManager[None]:
        """Keep sandboxes from joining `network` while the block runs. Raise Forbidden where some are in it."""
        return self._claims.unused(network)

    # joining and leaving

    def join(self, sandbox_id: str, network: Network, request: EndpointOptions) -> Endpoint:
        """Put a sandbox into a network: interface, addresses, default routes and published ports.

        After a failure all is as before. Raise what `Networks.join` raises.
        """
        endpoint = self._claims.claim(sandbox_id, network, request)
        try:
            endpoints = self._endpoints.of_sandbox(sandbox_id)
            others = ways_out(other for other in endpoints if other.id != endpoint.id)
            self._plug(network, endpoint, routes(others), routes(ways_out(endpoints)))
            self._publish(endpoints)
        except BaseException:
            self._undo(endpoint)
            self._lead_out(endpoint)
            raise
        return self._endpoints.get(endpoint.id) or endpoint

    def name(self, endpoint: Endpoint, names: tuple[str, ...]) -> Endpoint:
        """Give an endpoint other names, and return it as it is now."""
        renamed = msgspec.structs.replace(endpoint, names=names)
        self._endpoints.put(renamed)
        return renamed

    def leave(self, endpoint: Endpoint) -> None:
        """Take a sandbox that lives on out of one network; another of its networks becomes the way out."""
        self._undo(endpoint)
        self._lead_out(endpoint)

    def end(self, sandbox_id: str) -> None:
        """End a sandbox and its endpoints. A second call does nothing."""
        for endpoint in self._endpoints.of_sandbox(sandbox_id):
            self._abandon(endpoint)
        self._namespaces.remove(sandbox_id)

    # inside

    def _plug(self, network: Network, endpoint: Endpoint, before: Routes, after: Routes) -> None:
        """Make the endpoint's interface, and change the sandbox's default routes to those with it."""
        namespace = self.sandbox(endpoint.sandbox_id)
        self._drivers[network.driver].attach(network, endpoint, namespace)
        addresses = [address for version in (4, 6) if (address := endpoint.address(version))]
        link_local = [f"{ip}/{64 if ':' in ip else 32}" for ip in endpoint.link_local_ips]
        trust = network.driver != "bridge"  # a network of the world outside has routers of its own
        interface = Interface(endpoint.interface, [*addresses, *link_local], endpoint.sysctls, trust)
        set_up(namespace, interface, before, after)

    def _lead_out(self, gone: Endpoint) -> None:
        """Find the sandbox's way out anew when `gone` has gone, which stays so. What fails is logged."""
        rest = self._endpoints.of_sandbox(gone.sandbox_id)
        before, after = routes(ways_out([*rest, gone])), routes(ways_out(rest))
        try:
            if before != after and self._namespaces.exists(gone.sandbox_id):
                change_routes(self._namespaces.path(gone.sandbox_id), before, after)
            self._publish(rest)
        except LaminaError as error:
            _LOG.warning("container %s has lost its way out: %s", gone.sandbox_id[:12], error)

    def _publish(self, endpoints: Sequence[Endpoint]) -> None:
        """Publish the sandbox's ports at the endpoints that lead outside, and nowhere else.

        Raise Conflict where a host port is taken.
        """
        ways = ways_out(endpoints)
        plans = {e.id: port_targets(e, self._catalog.get(e.network_id), ways) for e in endpoints}
        moved = [endpoint for endpoint in endpoints if endpoint.port_targets != plans[endpoint.id]]
        for endpoint in moved:
            self._firewall.unpublish(endpoint.ports)
            self._ports.release(endpoint.ports)
        for endpoint in moved:
            targets = plans[endpoint.id]
            try:
                ports = self._ports.reserve(endpoint.requested_ports, targets)
            except LaminaError as error:
                place = f"endpoint {endpoint.sandbox_id[:12]} ({endpoint.id})"
                message = f"driver failed programming external connectivity on {place}: {error.message}"
                raise type(error)(message, advice=error.advice, **error.facts) from error
            self._endpoints.put(msgspec.structs.replace(endpoint, ports=ports, port_targets=targets))
            if ports:
                self._firewall.publish(ports)

    def _abandon(self, endpoint: Endpoint) -> None:
        """Leave for good: the slow part, deleting the interface, happens later; the address stays taken until then."""
        if not endpoint.host_interface:
            self._detach(endpoint)  # while its namespace still has a name
        nobodys = msgspec.structs.replace(endpoint, sandbox_id="", ports=())
        self._endpoints.put(nobodys)  # first: a crash must not leave two endpoints with one port
        self._firewall.unpublish(endpoint.ports)
        self._ports.release(endpoint.ports)
        self._cleaner.submit(self._undo, nobodys)

    def _undo(self, endpoint: Endpoint) -> None:
        """Take away whatever there is of an endpoint; its record last, so that a crash leaves it to be found."""
        current = self._endpoints.get(endpoint.id) or endpoint
        self._firewall.unpublish(current.ports)
        self._ports.release(current.ports)
        self._detach(current)
        self._endpoints.delete(current)

    def _detach(self, endpoint: Endpoint) -> None:
        """Remove the endpoint's interface, unless it has gone with the namespace of an ended sandbox."""
        driver = self._catalog.get(endpoint.network_id).driver
        if endpoint.sandbox_id or endpoint.host_interface:
            self._drivers[driver].detach(endpoint, self._namespaces.path(endpoint.sandbox_id))
