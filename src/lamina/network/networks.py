"""The room's front: networks by name, sandboxes (network namespaces) by id, and endpoints that join the two."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import msgspec

from lamina.api.networks import NetworkOptions
from lamina.api.results import Pruned
from lamina.cancellation import NEVER, Cancellation
from lamina.errors import Conflict, Forbidden, InvalidInput, NotFound, Unsupported
from lamina.events import EventBus
from lamina.formats.matching import Filters
from lamina.linux.user_namespaces import UserNamespace
from lamina.network.allocation import Allocation, choosing
from lamina.network.attachments import Attachments
from lamina.network.bridges import Bridges, Unsettled
from lamina.network.catalog import NetworkCatalog
from lamina.network.default_bridge import DefaultBridge, add_host_and_none, bridge_name, check_removable
from lamina.network.driver import Driver
from lamina.network.firewall import Firewall
from lamina.network.forwarding import PacketForwarding
from lamina.network.links import Links
from lamina.network.model import DEFAULT, NONE, PREDEFINED, Endpoint, EndpointOptions, Network
from lamina.network.names.names import Names
from lamina.network.names.protocol import LONGEST_NAME, MOST_NAMES, Forwarding
from lamina.network.names.table import Place
from lamina.network.new_network import new_network, with_defaults
from lamina.network.nft import open_nft
from lamina.network.selection import list_filter, prune_filter
from lamina.network.settings import NetworkSettings
from lamina.network.subnets import whole_pools
from lamina.network.vlans import Vlans
from lamina.network.ways_out import ways_out
from lamina.store.store import Store
from lamina.types import resources

_LOG = logging.getLogger("lamina.network")


class Networks(resources.Networks):
    """Networks of one engine. Thread-safe. `close` leaves what running containers need, else removes all traces."""

    @staticmethod
    def open(
        store: Store, exec_root: Path, settings: NetworkSettings | None = None, events: EventBus | None = None
    ) -> Networks:
        """Open the networks kept in `store`, and make their bridges and the table of rules again. Needs root.

        Raise Unavailable where nftables is missing, Forbidden where the default bridge's addresses overlap another
        network, InvalidInput for settings that are no addresses.
        """
        networks = Networks(store, exec_root, settings or NetworkSettings(), events or EventBus())
        try:
            with networks._firewall.starting():
                networks._start()
        except BaseException:
            networks._release()
            raise
        return networks

    def __init__(self, store: Store, exec_root: Path, settings: NetworkSettings, events: EventBus) -> None:
        self._settings = settings
        self._bridge = bridge_name(exec_root) if settings.bridge in ("", NONE) else settings.bridge
        self._events = events
        self._catalog = NetworkCatalog(store)
        self._links = Links()
        nft = open_nft()
        self._firewall = Firewall(nft, f"lamina-{self._bridge}", direct=settings.allow_direct_routing)
        self._forwarding = PacketForwarding(nft, allowed=settings.ip_forward, guarded=not settings.ip_forward_no_drop)
        self._bridges = Bridges(self._links, self._firewall, self._forwarding)
        vlans = Vlans(self._links)
        self._drivers: dict[str, Driver] = {"bridge": self._bridges, "macvlan": vlans, "ipvlan": vlans}
        self._allocation = Allocation(self._links, whole_pools(settings.pools, settings.identity or str(exec_root)))
        self._unsettled = Unsettled(exec_root / "bridges")
        self._attachments = Attachments(exec_root, self._catalog, self._drivers, self._links, self._firewall, settings)
        self._names = Names(exec_root / "names", self._places, self._attachments.sandbox)
        self._closed = False

    def _start(self) -> None:
        add_host_and_none(self._catalog)
        self._attachments.forget_lost()
        self._firewall.replace(
            [network for network in self._made_networks() if network.driver == "bridge"], self._attachments.endpoints()
        )
        parts = (self._catalog, self._links, self._bridges, self._allocation, self._settings)
        DefaultBridge(*parts, lambda network: bool(self._attachments.of_network(network))).start(self._bridge)
        self._unsettled.sweep({network.bridge for network in self._catalog.list()}, self._links.remove)
        for network in self._made_networks():
            self._restore(network)
        self._forwarding.tell_of_others()
        self._names.restore(self._attachments.sandboxes())

    def _made(self, network: Network) -> Network:
        """Return the network with its addresses, and with all that it is on the host."""
        chosen = self._allocation.choose(network, self._catalog.list())
        self._drivers[chosen.driver].make(chosen)
        return chosen

    def _restore(self, network: Network) -> None:
        """Make what is missing of a network on the host. The engine starts all the same where a parent is gone."""
        try:
            self._drivers[network.driver].make(network)
        except (InvalidInput, Unsupported) as error:
            _LOG.warning("network %s cannot be used: %s", network.name, error)
        self._attachments.restore(network)

    def _made_networks(self) -> list[Network]:
        """Return the networks that are more than a name: all but host and none."""
        return [network for network in self._catalog.list() if network.driver in self._drivers]

    # networks

    def create(self, name: str, options: NetworkOptions | None = None) -> Network:
        if name in PREDEFINED or name == "default":
            raise Forbidden(f"operation is not permitted on predefined {name} network")
        network = new_network(name, with_defaults(options or NetworkOptions(), self._settings.default_options))
        if self._catalog.find(name) is not None:
            raise Conflict(f"network with name {name} already exists")
        if self._links.index(network.bridge) is not None:
            network = msgspec.structs.replace(network, borrowed=True)
        with nullcontext() if network.borrowed else self._unsettled.noted(network.bridge), choosing():
            chosen = self._made(network)
            try:
                self._catalog.put(chosen)
            except BaseException:
                self._drivers[chosen.driver].remove(chosen)
                raise
        self._tell("create", chosen)
        return chosen

    def get(self, reference: str) -> Network:
        return self._catalog.get(reference)

    def list(self, filters: Filters | None = None) -> list[Network]:
        passes = list_filter(filters or {}, lambda network: bool(self._attachments.of_network(network)))
        return [network for network in self._catalog.list() if passes(network)]

    def remove(self, reference: str) -> None:
        network = self._catalog.get(reference)
        check_removable(network)
        self._attachments.settle()
        with nullcontext() if network.borrowed else self._unsettled.noted(network.bridge):
            with self._attachments.unused(network):
                self._catalog.delete(network)
            self._drivers[network.driver].remove(network)
        self._tell("destroy", network)

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        passes = prune_filter(filters or {})
        self._attachments.settle()
        removed = []
        for network in self._catalog.list():
            cancellation.check()
            if not network.predefined and not self._attachments.of_network(network) and passes(network):
                with suppress(NotFound, Forbidden):
                    self.remove(network.id)
                    removed.append(network.name)
        self._events.publish("network", "prune", "", {"reclaimed": "0"})
        return Pruned(tuple(removed))

    def endpoints(self, reference: str) -> Sequence[Endpoint]:
        """Return the endpoints in a network."""
        return self._attachments.of_network(self._catalog.get(reference))

    # sandboxes

    def host_gateways(self, sandbox_id: str) -> Sequence[str]:
        """Return the addresses by which a sandbox reaches the host, IPv4 and then IPv6.

        They are the configured ones, else its own gateways, else those of the default bridge. Raise InvalidInput where
        there are none.
        """
        ways = ways_out(self._attachments.of_sandbox(sandbox_id))
        own = [gateway for version, endpoint in ways.items() if (gateway := self._host_in(endpoint, version))]
        default = self._catalog.find(DEFAULT)
        others = [subnet.gateway for subnet in default.ipam.subnets] if default is not None else []
        addresses = self._settings.host_gateway_ips or tuple(own or filter(None, others))
        if not addresses:
            raise InvalidInput("unable to derive the IP value for host-gateway")
        return addresses

    def _host_in(self, endpoint: Endpoint, version: int) -> str:
        """Return the host's address in an endpoint's network; "" where no way leads out there."""
        subnet = self._catalog.get(endpoint.network_id).subnet(version)
        return subnet.gateway if subnet is not None and endpoint.gateway_of(version) else ""

    def sandbox(self, sandbox_id: str, userns: UserNamespace | None = None) -> Path:
        """Return the file that holds the sandbox's network namespace; made (loopback only) where there is none yet.

        Root of `userns` may manage a new one.
        """
        return self._attachments.sandbox(sandbox_id, userns)

    def joined(self, sandbox_id: str) -> Sequence[Endpoint]:
        """Return the sandbox's endpoints."""
        return self._attachments.of_sandbox(sandbox_id)

    def join(self, sandbox_id: str, network: str, options: EndpointOptions | None = None) -> Endpoint:
        """Put a sandbox into a network: interface, address, default route and published ports.

        Joining `host` or `none` records nothing and changes nothing, nor does joining `bridge` where the settings leave
        it out. Raise Conflict for an address or host port in use or a network joined already, InvalidInput for a bad
        address, NotFound for the network.
        """
        without_default = network == DEFAULT and self._settings.bridge == NONE
        target = self._catalog.get(NONE if without_default else network)
        if target.driver not in self._drivers:
            return Endpoint(id="", sandbox_id=sandbox_id, network_id=target.id, network=target.name)
        request = options or EndpointOptions()
        if len(request.names) + len(request.links) > MOST_NAMES:
            raise InvalidInput(f"a container has at most {MOST_NAMES} names and links in a network")
        endpoint = self._attachments.join(sandbox_id, target, request)
        self._names.put(_place(target, endpoint))
        self._tell("connect", target, container=sandbox_id)
        return endpoint

    def answer_names(self, sandbox_id: str, forwarding: Forwarding) -> None:
        """Answer the sandbox at 127.0.0.11 where it is in a user network; `forwarding` is for what we do not know.

        When it returns, the names of the networks that the sandbox has joined are answered. Raise OSError.
        """
        endpoints = self.joined(sandbox_id)
        if has_names(endpoints):
            places = [_place(self._catalog.get(endpoint.network_id), endpoint) for endpoint in endpoints]
            self._names.serve(sandbox_id, forwarding, places)

    def rename(self, endpoint: Endpoint, names: tuple[str, ...]) -> None:
        """Have other names lead to an endpoint from now on."""
        renamed = self._attachments.name(endpoint, names)
        self._names.put(_place(self._catalog.get(endpoint.network_id), renamed))
        self._names.settle()

    def leave(self, sandbox_id: str, network: str | None = None) -> None:
        """Take a sandbox out of a network; without `network` out of all, and end the sandbox. Twice is fine."""
        network_id = None if network is None else self._catalog.get(network).id
        leaving = [e for e in self._attachments.of_sandbox(sandbox_id) if network_id in (None, e.network_id)]
        if network is None:
            self._names.unserve(sandbox_id)
            self._attachments.end(sandbox_id)
        for endpoint in leaving:
            self._names.drop(endpoint.id)
            if network is not None:
                self._attachments.leave(endpoint)
            with suppress(NotFound):
                self._tell("disconnect", self._catalog.get(endpoint.network_id), container=sandbox_id)

    def sweep(self, live: Iterable[str]) -> None:
        """End every sandbox whose id is not in `live`: what containers left that died with the daemon."""
        for sandbox_id in self._attachments.sandboxes() - set(live):
            self.leave(sandbox_id)

    def close(self) -> None:
        """End the threads. Without endpoints, bridges and rules go too; with some they stay for their containers."""
        if self._closed:
            return
        self._closed = True
        self._attachments.settle()
        if not self._attachments.endpoints():
            for network in self._made_networks():
                self._drivers[network.driver].remove(network)
            self._firewall.remove()
        self._release()

    def _release(self) -> None:
        self._names.close()
        self._attachments.close()
        self._firewall.close()
        self._links.close()

    def _places(self) -> Iterator[Place]:
        networks = {network.id: network for network in self._catalog.list()}
        for endpoint in self._attachments.endpoints():
            if endpoint.sandbox_id and endpoint.network_id in networks:
                yield _place(networks[endpoint.network_id], endpoint)

    def _tell(self, action: str, network: Network, **attributes: str) -> None:
        attributes_of_all = {"name": network.name, "type": network.driver, **attributes}
        self._events.publish("network", action, network.id, attributes_of_all)


def has_names(endpoints: Iterable[Endpoint]) -> bool:
    """Return whether the engine resolves names for these endpoints: in user networks, not on the default bridge."""
    return any(endpoint.network != DEFAULT for endpoint in endpoints)


def _place(network: Network, endpoint: Endpoint) -> Place:
    names = tuple(name for name in endpoint.names if len(name) <= LONGEST_NAME)
    links = tuple((name, target) for name, target in endpoint.links if max(len(name), len(target)) <= LONGEST_NAME)
    return Place(
        id=endpoint.id,
        sandbox=endpoint.sandbox_id,
        network=network.name,
        network_id=network.id,
        ipv4=endpoint.ip,
        ipv6=endpoint.ipv6,
        names=() if network.name == DEFAULT else names,
        links=links,
        internal=network.internal or not any(map(endpoint.leads_out, (4, 6))),
    )
