"""Putting containers into networks and taking them out, while they run or for their next start."""

from __future__ import annotations

from lamina.api.containers import EndpointConfig
from lamina.containers.container import Container
from lamina.containers.specs import Get, rewrite_hosts, sandbox_of
from lamina.errors import Conflict, Forbidden, InvalidInput
from lamina.network.model import Network
from lamina.network.networks import Networks

_ALONE = ("host", "none")


def connect(container: Container, networks: Networks, network: Network, endpoint: EndpointConfig, find: Get) -> None:
    """Join `network`, at once where the container runs, and at every start to come.

    Raises Forbidden where the container is in the network already, Conflict for an address in use, InvalidInput for
    containers that have another's network or the host's.
    """
    with container.lock:
        record = container.record
        mode = record.host_config.network_mode
        if mode.startswith("container:") or mode in _ALONE or network.driver != "bridge":
            raise InvalidInput(f"container {record.name} with network mode {mode} cannot join network {network.name}")
        if network.name in record.networks:
            raise Forbidden(f"endpoint with name {record.name} already exists in network {network.name}")
        if container.state.running:
            networks.join(container.id, network.id, sandbox_of(container).endpoint(endpoint))
        container.change(networks={**record.networks, network.name: endpoint})
        if container.state.running:
            rewrite_hosts(container, networks, find)


def disconnect(container: Container, networks: Networks, network: Network, find: Get) -> None:
    """Leave `network` at once, and for good. Raises Conflict where the container is not in it."""
    with container.lock:
        record = container.record
        if network.name not in record.networks:
            raise Conflict(f"container {container.id} is not connected to network {network.name}")
        if container.state.running:
            networks.leave(container.id, network.id)
        container.change(networks={name: config for name, config in record.networks.items() if name != network.name})
        if container.state.running:
            rewrite_hosts(container, networks, find)
