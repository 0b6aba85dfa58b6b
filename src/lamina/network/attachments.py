"""Sandboxes (network namespaces) by id, and the endpoints that put them into networks."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from lamina.errors import Conflict, Forbidden
from lamina.network.addresses import choose_address, mac_of, parse_subnet
from lamina.network.bridges import Bridges
from lamina.network.catalog import NetworkCatalog
from lamina.network.endpoints import Endpoints
from lamina.network.firewall import Firewall
from lamina.network.links import Links, Peer, set_default_route
from lamina.network.model import Endpoint, EndpointOptions, Network, PortBinding
from lamina.network.namespaces import Namespaces
from lamina.network.ports import Ports
from lamina.network.proxy.proxy import Proxy


class Attachments:
    """Join sandboxes to networks, and take them out. Thread-safe; `close` leaves endpoints as they are."""

    def __init__(
        self, exec_root: Path, catalog: NetworkCatalog, bridges: Bridges, links: Links, firewall: Firewall
    ) -> None:
        self._catalog = catalog
        self._bridges = bridges
        self._links = links
        self._firewall = firewall
        self._namespaces = Namespaces(exec_root / "netns")
        self._endpoints = Endpoints(exec_root / "endpoints")
        self._proxy = Proxy(exec_root)
        self._ports = Ports(self._proxy)
        self._cleaner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lamina-links")
        self._lock = threading.Lock()  # over the choice of addresses, and over whether a network is used
        self._last: dict[str, str] = {}  # the address given out last, by network

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
                self._ports.reserve(endpoint.ports, endpoint.ip)

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

    def sandbox(self, sandbox_id: str) -> Path:
        """Return the file that holds the sandbox's network namespace; made (loopback only) where there is none yet."""
        return self._namespaces.create(sandbox_id)

    def sandboxes(self) -> set[str]:
        """Return the ids of all sandboxes that have a namespace or an endpoint."""
        return {e.sandbox_id for e in self._endpoints.all() if e.sandbox_id} | set(self._namespaces.names())

    def settle(self) -> None:
        """Wait until what was left before is gone for good."""
        self._cleaner.submit(lambda: None).result()

    @contextmanager
    def unused(self, network: Network) -> Iterator[None]:
        """Keep sandboxes from joining `network` while the block runs. Raise Forbidden where some are in it."""
        with self._lock:
            users = self._endpoints.of_network(network.id)
            if users:
                raise Forbidden(
                    f"error while removing network: network {network.name} id {network.id} has active endpoints",
                    containers=[endpoint.sandbox_id for endpoint in users],
                )
            yield

    # joining and leaving

    def join(self, sandbox_id: str, network: Network, request: EndpointOptions) -> Endpoint:
        """Put a sandbox into a bridge network: interface, address, default route and published ports.

        After a failure nothing is left. Raise what `Networks.join` raises.
        """
        endpoint = self._claim(network, sandbox_id, request)
        try:
            endpoint = self._publish(endpoint, request.ports)
            self._plug(network, endpoint)
            if request.ports:
                self._firewall.publish(endpoint.ip, endpoint.ports)
        except BaseException:
            self._undo(endpoint)
            raise
        return endpoint

    def leave(self, endpoint: Endpoint) -> None:
        """Take a sandbox that lives on out of one network; another of its networks becomes the way out."""
        self._undo(endpoint)
        rest = self._endpoints.of_sandbox(endpoint.sandbox_id)
        namespace = self._namespaces.path(endpoint.sandbox_id)
        if rest and endpoint.gateway and self._namespaces.exists(endpoint.sandbox_id):
            set_default_route(namespace, next((other.gateway for other in rest if other.gateway), ""))

    def end(self, sandbox_id: str) -> None:
        """End a sandbox and its endpoints. A second call does nothing."""
        for endpoint in self._endpoints.of_sandbox(sandbox_id):
            self._abandon(endpoint)
        self._namespaces.remove(sandbox_id)

    # inside

    def _claim(self, network: Network, sandbox_id: str, request: EndpointOptions) -> Endpoint:
        """Return an endpoint with an address of its own, recorded before anything of it exists."""
        subnet = network.ipam.subnets[0]
        if request.ip:
            self.settle()  # the address may be one that is just being left
        with self._lock:
            self._catalog.get(network.id)  # it may just have been removed
            joined = self._endpoints.of_sandbox(sandbox_id)
            if any(endpoint.network_id == network.id for endpoint in joined):
                raise Forbidden(f"endpoint with name {sandbox_id[:12]} already exists in network {network.name}")
            used = {endpoint.ip for endpoint in self._endpoints.of_network(network.id)}
            ip = choose_address(subnet, used, self._last.get(network.id, ""), request.ip)
            if not request.ip:
                self._last[network.id] = ip
            identity = secrets.token_hex(32)
            endpoint = Endpoint(
                id=identity,
                sandbox_id=sandbox_id,
                network_id=network.id,
                network=network.name,
                interface=_free_interface(joined),
                host_interface=f"veth{identity[:7]}",
                ip=ip,
                prefix=parse_subnet(subnet.subnet).prefixlen,
                gateway="" if network.internal else subnet.gateway,
                mac=request.mac or mac_of(ip),
                aliases=request.aliases,
                requested_ip=request.ip,
            )
            self._endpoints.put(endpoint)
        return endpoint

    def _publish(self, endpoint: Endpoint, ports: Sequence[PortBinding]) -> Endpoint:
        if not ports:
            return endpoint
        published = msgspec.structs.replace(endpoint, ports=self._ports.reserve(ports, endpoint.ip))
        self._endpoints.put(published)
        return published

    def _plug(self, network: Network, endpoint: Endpoint) -> None:
        others = [other for other in self._endpoints.of_sandbox(endpoint.sandbox_id) if other.id != endpoint.id]
        gateway = "" if any(other.gateway for other in others) else endpoint.gateway
        peer = Peer(endpoint.interface, endpoint.mac, endpoint.ip, endpoint.prefix, gateway)
        isolated = network.options.get("com.docker.network.bridge.enable_icc") == "false"
        namespace = self.sandbox(endpoint.sandbox_id)
        mtu = self._bridges.mtu_of(network)
        self._links.add_veth(endpoint.host_interface, network.bridge, namespace, peer, mtu, isolated)

    def _abandon(self, endpoint: Endpoint) -> None:
        """Leave for good: the slow part, deleting the interface, happens later; the address stays taken until then."""
        nobodys = msgspec.structs.replace(endpoint, sandbox_id="", ports=())
        self._endpoints.put(nobodys)  # first: a crash must not leave two endpoints with one port
        self._firewall.unpublish(endpoint.ip, endpoint.ports)
        self._ports.release(endpoint.ports)
        self._cleaner.submit(self._undo, nobodys)

    def _undo(self, endpoint: Endpoint) -> None:
        """Take away whatever there is of an endpoint; its record last, so that a crash leaves it to be found."""
        current = self._endpoints.get(endpoint.id) or endpoint
        self._firewall.unpublish(current.ip, current.ports)
        self._ports.release(current.ports)
        self._links.remove(current.host_interface)
        self._endpoints.delete(current)


def _free_interface(endpoints: Iterable[Endpoint]) -> str:
    used = {endpoint.interface for endpoint in endpoints}
    return next(name for number in range(len(used) + 1) if (name := f"eth{number}") not in used)
