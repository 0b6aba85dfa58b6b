"""The endpoints there are, as small files below the exec root.

Endpoints outlive the daemon but not a reboot, like the interfaces they stand for. They are written without a sync,
because a reboot makes them void.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from lamina.network.model import Endpoint, PortTargets


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
                self._known[endpoint.id] = _completed(endpoint)
            if path.name not in self._known:
                path.unlink(missing_ok=True)  # half written when the daemon died

    def put(self, endpoint: Endpoint) -> None:
        """Write the endpoint in place of its earlier state; after a crash one of the two states is there."""
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


def _completed(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint of an engine that knew no IPv6 as this one would have kept it: its ports lead to its address.

    Without an address a port cannot be in the table of rules, and the engine could not start.
    """
    if not endpoint.ports or endpoint.ports[0].container_ip:
        return endpoint
    ports = tuple(msgspec.structs.replace(port, container_ip=endpoint.ip) for port in endpoint.ports)
    targets = PortTargets(ipv4=endpoint.ip, ipv6=endpoint.ip)
    return msgspec.structs.replace(endpoint, ports=ports, requested_ports=endpoint.ports, port_targets=targets)
