"""The room's front: networks by name, sandboxes (network namespaces) by id, and endpoints that join the two."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path

import msgspec

from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.api.results import Pruned
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import Conflict, Forbidden, InvalidInput, NotFound
from lamina.events import EventBus
from lamina.formats.matching import Filters
from lamina.network.addresses import choose_address, mac_of, parse_subnet
from lamina.network.bridges import Bridges, Unsettled
from lamina.network.catalog import Endpoints, NetworkCatalog, check_removable, default_options, new_network, predefined
from lamina.network.firewall import Firewall, open_nft
from lamina.network.links import Links, Peer, set_default_route
from lamina.network.model import DEFAULT, Endpoint, EndpointOptions, Network, PortBinding
from lamina.network.namespaces import Namespaces
from lamina.network.ports import Ports
from lamina.network.proxy.proxy import Proxy
from lamina.network.selection import list_filter, prune_filter
from lamina.store.store import Store


class Networks:
    """Networks of one engine. Thread-safe.

        engine.networks.create("backend", NetworkOptions(internal=True))
        engine.containers.connect("server", "backend")

    `close` leaves what running containers need, else removes all traces."""

    @staticmethod
    def open(
        store: Store,
        exec_root: Path,
        bip: str | None = None,
        *,
        bridge: str | None = None,
        pools: Sequence[tuple[str, int]] = (),
        events: EventBus | None = None,
    ) -> Networks:
        """Open the networks kept in `store`, and make their bridges and the table of rules again.

        `bip` is the default bridge's address in CIDR form, `bridge` its interface's name (default: one that belongs to
        `exec_root` alone), `pools` daemon.json's default-address-pools as (base, prefix length). Needs root. Raise
        Unavailable where nftables is missing, Conflict where `bip` overlaps another network.
        """
        name = bridge or bridge_name(exec_root)
        networks = Networks(store, exec_root, name, pools, events or EventBus())
        try:
            networks._start(bip)
        except BaseException:
            networks._release()
            raise
        return networks

    def __init__(
        self, store: Store, exec_root: Path, bridge: str, pools: Sequence[tuple[str, int]], events: EventBus
    ) -> None:
        self._bridge = bridge
        self._events = events
        self._catalog = NetworkCatalog(store)
        self._links = Links()
        self._firewall = Firewall(open_nft(), f"lamina-{bridge}")
        self._bridges = Bridges(self._links, self._firewall, pools)
        self._unsettled = Unsettled(exec_root / "bridges")
        self._namespaces = Namespaces(exec_root / "netns")
        self._endpoints = Endpoints(exec_root / "endpoints")
        self._proxy = Proxy(exec_root)
        self._ports = Ports(self._proxy)
        self._cleaner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lamina-links")
        self._lock = threading.Lock()  # over the choice of addresses, and over whether a network is used
        self._last: dict[str, str] = {}  # the address given out last, by network
        self._closed = False

    # networks

    def create(self, name: str, options: NetworkOptions | None = None) -> Network:
        """Make a network. Raise Conflict for a name or addresses in use, InvalidInput, NotFound (driver)."""
        network = new_network(name, options or NetworkOptions())
        if self._catalog.find(name) is not None:
            raise Conflict(f"network with name {name} already exists")
        present = self._links.index(network.bridge) is not None  # somebody's own: it stays whatever happens
        with nullcontext() if present else self._unsettled.noted(network.bridge):
            network_with_addresses = self._bridges.make(network, self._catalog.list())
            try:
                self._catalog.put(network_with_addresses)
            except BaseException:
                self._bridges.remove(network_with_addresses)
                raise
        self._tell("create", network_with_addresses)
        return network_with_addresses

    def get(self, reference: str) -> Network:
        """Return a network, by its name, ID or a unique beginning of one. Raise NotFound, InvalidInput."""
        return self._catalog.get(reference)

    def list(self, filters: Filters | None = None) -> list[Network]:
        """Return the networks by name, all or those that fit Docker's filters.

        These are dangling, driver, id, label, name, scope and type. Raise InvalidInput for others.
        """
        passes = list_filter(filters or {}, lambda network: bool(self._endpoints.of_network(network.id)))
        return [network for network in self._catalog.list() if passes(network)]

    def remove(self, reference: str) -> None:
        """Remove a network. Raise NotFound, and Forbidden for a predefined one or one with endpoints."""
        network = self._catalog.get(reference)
        check_removable(network)
        self._settle()
        with self._unsettled.noted(network.bridge):
            self._remove(network)
        self._tell("destroy", network)

    def _remove(self, network: Network) -> None:
        with self._lock:
            users = self._endpoints.of_network(network.id)
            if users:
                raise Forbidden(
                    f"error while removing network: network {network.name} id {network.id} has active endpoints",
                    containers=[endpoint.sandbox_id for endpoint in users],
                )
            self._catalog.delete(network)
        self._bridges.remove(network)

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        """Remove user networks without endpoints. `filters` are Docker's (label, label!, until).

        Raise InvalidInput for others, and Cancelled before the next network.
        """
        passes = prune_filter(filters or {})
        self._settle()
        removed = []
        for network in self._catalog.list():
            cancellation.check()
            if not network.predefined and not self._endpoints.of_network(network.id) and passes(network):
                with suppress(NotFound, Forbidden):
                    self.remove(network.id)
                    removed.append(network.name)
        return Pruned(tuple(removed))

    def endpoints(self, reference: str) -> Sequence[Endpoint]:
        """Return the endpoints in a network."""
        return self._endpoints.of_network(self._catalog.get(reference).id)

    # sandboxes

    def sandbox(self, sandbox_id: str) -> Path:
        """Return the file that holds the sandbox's network namespace; made (loopback only) where there is none yet."""
        return self._namespaces.create(sandbox_id)

    def joined(self, sandbox_id: str) -> Sequence[Endpoint]:
        """Return the sandbox's endpoints."""
        return self._endpoints.of_sandbox(sandbox_id)

    def join(self, sandbox_id: str, network: str, options: EndpointOptions | None = None) -> Endpoint:
        """Put a sandbox into a network: interface, address, default route and published ports.

        Joining `host` or `none` records nothing and changes nothing. Raise Conflict for an address or host port in use
        or a network joined already, InvalidInput for a bad address, NotFound for the network.
        """
        target = self._catalog.get(network)
        request = options or EndpointOptions()
        if target.driver != "bridge":
            return Endpoint(id="", sandbox_id=sandbox_id, network_id=target.id, network=target.name)
        endpoint = self._claim(target, sandbox_id, request)
        try:
            endpoint = self._publish(endpoint, request.ports)
            self._plug(target, endpoint)
            if request.ports:
                self._firewall.publish(endpoint.ip, endpoint.ports)
        except BaseException:
            self._undo(endpoint)
            raise
        self._tell("connect", target, container=sandbox_id)
        return endpoint

    def leave(self, sandbox_id: str, network: str | None = None) -> None:
        """Take a sandbox out of a network; without `network` out of all, and end the sandbox. Twice is fine."""
        network_id = None if network is None else self._catalog.get(network).id
        leaving = [e for e in self._endpoints.of_sandbox(sandbox_id) if network_id in (None, e.network_id)]
        for endpoint in leaving:
            if network is None:
                self._abandon(endpoint)
            else:
                self._unplug(endpoint)
            with suppress(NotFound):
                self._tell("disconnect", self._catalog.get(endpoint.network_id), container=sandbox_id)
        if network is None:
            self._namespaces.remove(sandbox_id)

    def sweep(self, live: Iterable[str]) -> None:
        """End every sandbox whose id is not in `live`: what containers left that died with the daemon."""
        live_ids = set(live)
        sandbox_ids = {e.sandbox_id for e in self._endpoints.all() if e.sandbox_id} | set(self._namespaces.names())
        for sandbox_id in sandbox_ids - live_ids:
            self.leave(sandbox_id)

    def close(self) -> None:
        """End the threads. Without endpoints, bridges and rules go too; with some they stay for their containers."""
        if self._closed:
            return
        self._closed = True
        self._cleaner.shutdown()
        if not self._endpoints.all():
            for network in self._catalog.list():
                if network.driver == "bridge":
                    self._bridges.remove(network)
            self._firewall.remove()
        self._release()

    # inside

    def _release(self) -> None:
        self._cleaner.shutdown()
        self._ports.close()
        self._namespaces.close()
        self._firewall.close()
        self._links.close()

    def _start(self, bip: str | None) -> None:
        predefined(self._catalog)
        for endpoint in self._endpoints.all():
            if not endpoint.sandbox_id or not self._namespaces.exists(endpoint.sandbox_id):
                self._endpoints.delete(endpoint)  # being left when the daemon died, or from before a reboot
        bridges = [network for network in self._catalog.list() if network.driver == "bridge"]
        self._firewall.replace(bridges, self._endpoints.all())
        self._proxy.settle()
        self._start_default(bip)
        self._unsettled.sweep({network.bridge for network in self._catalog.list()}, self._links.remove)
        for network in self._catalog.list():
            if network.driver == "bridge":
                self._restore(network)

    def _start_default(self, bip: str | None) -> None:
        present = self._catalog.find(DEFAULT)
        if present is not None and not self._must_change(present, bip):
            return
        options = default_options(self._bridge, self._bridges.mtu)
        fresh = new_network(DEFAULT, options)
        if present is not None:
            fresh = msgspec.structs.replace(fresh, id=present.id, created=present.created)
            self._bridges.remove(present)
        ipam = Ipam(subnets=(_bip_subnet(bip),)) if bip else Ipam()
        fresh = msgspec.structs.replace(fresh, ipam=ipam)
        self._catalog.put(self._bridges.make(fresh, self._catalog.list()))

    def _must_change(self, present: Network, bip: str | None) -> bool:
        if self._endpoints.of_network(present.id):
            return False  # containers run in it: it stays as it is until they are gone
        if present.bridge != self._bridge:
            return True
        subnet = present.ipam.subnets[0]
        if bip:
            bip_subnet = _bip_subnet(bip)
            return (bip_subnet.gateway, bip_subnet.subnet) != (subnet.gateway, subnet.subnet)
        return self._bridges.clashes(present)

    def _restore(self, network: Network) -> None:
        self._bridges.restore(network)
        endpoints = self._endpoints.of_network(network.id)
        for stray in set(self._links.ports_of(network.bridge)) - {endpoint.host_interface for endpoint in endpoints}:
            self._links.remove(stray)
        for endpoint in endpoints:
            with suppress(Conflict):  # another program took the port meanwhile: translation works all the same
                self._ports.reserve(endpoint.ports, endpoint.ip)

    def _claim(self, network: Network, sandbox_id: str, request: EndpointOptions) -> Endpoint:
        """Return an endpoint with an address of its own, recorded before anything of it exists."""
        subnet = network.ipam.subnets[0]
        if request.ip:
            self._settle()  # the address may be one that is just being left
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

    def _unplug(self, endpoint: Endpoint) -> None:
        self._undo(endpoint)
        rest = self._endpoints.of_sandbox(endpoint.sandbox_id)
        namespace = self._namespaces.path(endpoint.sandbox_id)
        if rest and endpoint.gateway and self._namespaces.exists(endpoint.sandbox_id):
            set_default_route(namespace, next((other.gateway for other in rest if other.gateway), ""))

    def _settle(self) -> None:
        """Wait until what was left before is gone for good."""
        self._cleaner.submit(lambda: None).result()

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

    def _tell(self, action: str, network: Network, **attributes: str) -> None:
        attributes_of_all = {"name": network.name, "type": network.driver, **attributes}
        self._events.publish("network", action, network.id, attributes_of_all)


def bridge_name(exec_root: Path) -> str:
    """Return the default bridge's interface: `lamina0` for the system's daemon, else a name that belongs to the exec
    root."""
    if str(exec_root) == "/run/lamina":
        return "lamina0"
    return "lam" + hashlib.sha256(str(exec_root.absolute()).encode()).hexdigest()[:10]


def _bip_subnet(bip: str) -> Subnet:
    address, slash, _ = bip.partition("/")
    if not slash:
        raise InvalidInput(f"invalid bip {bip!r}", advice="Give an address and a prefix length, such as 172.17.0.1/16")
    return Subnet(subnet=str(parse_subnet(bip)), gateway=address)


def _free_interface(endpoints: Iterable[Endpoint]) -> str:
    used = {endpoint.interface for endpoint in endpoints}
    return next(name for number in range(len(used) + 1) if (name := f"eth{number}") not in used)
