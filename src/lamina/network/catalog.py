"""What exists: networks as documents of the store, and endpoints as small files below the exec root.

Endpoints outlive the daemon but not a reboot, like the interfaces they stand for. They are written without a sync,
because a reboot makes them void.
"""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from lamina.api.networks import NetworkOptions
from lamina.errors import Conflict, Forbidden, InvalidInput, NotFound
from lamina.formats.times import now
from lamina.network.model import HOST, NONE, PREDEFINED, Endpoint, Network
from lamina.store.store import Store

_BUCKET = "networks"
LONGEST_NAME = 128  # characters; dockerd takes any name that is not blank
_DRIVERS = {"bridge": "bridge", "": "bridge", "host": "host", "null": "null"}


class NetworkCatalog:
    """Networks by id and name. Thread-safe; every change is in the store before it is seen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        with store.read() as view:
            networks = [msgspec.json.decode(raw, type=Network) for _, raw in view.items(_BUCKET)]
        self._networks = {network.id: network for network in networks}

    def get(self, reference: str) -> Network:
        """Return a network by id, name or a unique prefix of its id. Raise NotFound or InvalidInput."""
        with self._lock:
            networks = list(self._networks.values())
        for network in networks:
            if reference in (network.id, network.name):
                return network
        fitting = [network for network in networks if reference and network.id.startswith(reference)]
        if len(fitting) > 1:
            raise InvalidInput(f"network {reference} is ambiguous ({len(fitting)} matches found on ID prefix)")
        if not fitting:
            raise NotFound(f"network {reference} not found")
        return fitting[0]

    def find(self, name: str) -> Network | None:
        """Return the network of that name, or None."""
        with self._lock:
            return next((network for network in self._networks.values() if network.name == name), None)

    def list(self) -> list[Network]:
        """Return all of them, by name."""
        with self._lock:
            return sorted(self._networks.values(), key=lambda network: network.name)

    def put(self, network: Network) -> None:
        """Keep `network`. Raise Conflict where another one has its name."""
        with self._lock:
            other = self.find(network.name)
            if other is not None and other.id != network.id:
                raise Conflict(f"network with name {network.name} already exists", id=other.id)
            with self._store.transaction() as change:
                change.put(_BUCKET, network.id, msgspec.json.encode(network))
            self._networks[network.id] = network

    def delete(self, network: Network) -> None:
        """Forget `network`; nothing happens where it is gone."""
        with self._lock:
            with self._store.transaction() as change:
                change.delete(_BUCKET, network.id)
            self._networks.pop(network.id, None)


def new_network(name: str, options: NetworkOptions) -> Network:
    """Return a network of that name, not yet kept, its addresses not yet chosen.

    Raise InvalidInput for a bad name, Forbidden for a second host or null network, NotFound for a driver that is no
    part of lamina.
    """
    if not name.strip() or not name.isprintable() or "/" in name or len(name) > LONGEST_NAME:
        raise InvalidInput(f"invalid network name: {name[:LONGEST_NAME]!r}")
    if options.driver not in _DRIVERS:
        raise NotFound(f'plugin "{options.driver}" not found', advice="The drivers are bridge, host and null")
    driver = _DRIVERS[options.driver]
    if driver != "bridge" and name not in PREDEFINED:
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if options.ipam.driver not in ("", "default"):
        raise NotFound(f'IPAM plugin "{options.ipam.driver}" not found')
    identity = secrets.token_hex(32)
    chosen = options.options.get("com.docker.network.bridge.name", "")
    bridge = (chosen or f"br-{identity[:12]}") if driver == "bridge" else ""
    if len(bridge) > 15 or "/" in bridge or '"' in bridge:
        raise InvalidInput(f"invalid bridge name {bridge!r}: at most 15 characters, no slash or quote")
    return Network(
        id=identity,
        name=name,
        driver=driver,
        created=now(),
        internal=options.internal,
        attachable=options.attachable,
        enable_ipv6=options.enable_ipv6,
        ipam=options.ipam,
        labels=options.labels,
        options=options.options,
        bridge=bridge,
    )


def predefined(catalog: NetworkCatalog) -> None:
    """Make the networks host and none where they are missing."""
    for name, driver in ((HOST, "host"), (NONE, "null")):
        if catalog.find(name) is None:
            catalog.put(new_network(name, NetworkOptions(driver=driver)))


def check_removable(network: Network) -> None:
    """Raise Forbidden for the predefined networks."""
    if network.predefined:
        raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")


def default_options(bridge: str, mtu: int) -> NetworkOptions:
    """Return what Docker's `bridge` network shows as its options."""
    prefix = "com.docker.network.bridge."
    return NetworkOptions(
        options={
            f"{prefix}default_bridge": "true",
            f"{prefix}enable_icc": "true",
            f"{prefix}enable_ip_masquerade": "true",
            f"{prefix}host_binding_ipv4": "0.0.0.0",
            f"{prefix}name": bridge,
            "com.docker.network.driver.mtu": str(mtu),
        }
    )


class Endpoints:
    """All endpoints of one daemon. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._lock = threading.Lock()
        self._known: dict[str, Endpoint] = {}
        for path in directory.iterdir():
            with suppress(msgspec.DecodeError):
                endpoint = msgspec.json.decode(path.read_bytes(), type=Endpoint)
                self._known[endpoint.id] = endpoint
            if path.name not in self._known:
                path.unlink(missing_ok=True)  # half written when the daemon died

    def put(self, endpoint: Endpoint) -> None:
        """Keep it, in place of what it was before; a crash leaves the one or the other."""
        path = self._directory / endpoint.id
        draft = path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(endpoint))
        os.replace(draft, path)
        with self._lock:
            self._known[endpoint.id] = endpoint

    def delete(self, endpoint: Endpoint) -> None:
        """Forget an endpoint. A second call does nothing."""
        (self._directory / endpoint.id).unlink(missing_ok=True)
        with self._lock:
            self._known.pop(endpoint.id, None)

    def get(self, identity: str) -> Endpoint | None:
        """Return the endpoint with this id, or None."""
        with self._lock:
            return self._known.get(identity)

    def all(self) -> list[Endpoint]:
        """Return all there are."""
        with self._lock:
            return list(self._known.values())

    def of_sandbox(self, sandbox_id: str) -> list[Endpoint]:
        """Return the endpoints of one sandbox."""
        return [endpoint for endpoint in self.all() if endpoint.sandbox_id == sandbox_id]

    def of_network(self, network_id: str) -> list[Endpoint]:
        """Return the endpoints in one network."""
        return [endpoint for endpoint in self.all() if endpoint.network_id == network_id]
