"""The networks there are, as documents of the store."""

from __future__ import annotations

import threading

import msgspec

from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.network.model import Network
from lamina.store.store import Store

BUCKET = "networks"


class NetworkCatalog:
    """Networks by id and name. Thread-safe; every change is in the store before it is seen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        with store.read() as view:
            networks = [msgspec.json.decode(raw, type=Network) for _, raw in view.items(BUCKET)]
        self._networks = {network.id: network for network in networks}

    def get(self, reference: str) -> Network:
        """Return a network by id, name or a unique prefix of its id. Raise NotFound or InvalidInput."""
        with self._lock:
            networks = list(self._networks.values())
        exact = [network for network in networks if reference in (network.id, network.name)]
        if exact:
            return next((network for network in exact if network.id == reference), exact[0])
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
                change.put(BUCKET, network.id, msgspec.json.encode(network))
            self._networks[network.id] = network

    def delete(self, network: Network) -> None:
        """Forget `network`; nothing happens where it is gone."""
        with self._lock:
            with self._store.transaction() as change:
                change.delete(BUCKET, network.id)
            self._networks.pop(network.id, None)
