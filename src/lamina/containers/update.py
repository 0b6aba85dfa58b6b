"""Changes of what a container has: other limits, another restart policy, other networks."""

from __future__ import annotations

import msgspec

from lamina.api.containers import EndpointConfig, HostConfig, RestartPolicy, UpdateConfig
from lamina.containers.checks import check
from lamina.containers.container import Container
from lamina.containers.endpoints import check_endpoint
from lamina.containers.links import Get
from lamina.containers.specs import answer_names, rewrite_hosts, sandbox_of
from lamina.errors import Conflict, Forbidden, InvalidInput
from lamina.network.model import Network
from lamina.network.networks import Networks
from lamina.runtime.cgroups.layout import Abilities
from lamina.sandbox import limit_checks, limits
from lamina.sandbox.spec import Defaults


def update(container: Container, wish: UpdateConfig, able: Abilities) -> tuple[str, ...]:
    """Change what `wish` names; return warnings. The record changes only when the running container took it.

    What this machine is not `able` to limit is left out, with a warning.

    Raise InvalidInput for limits that cannot be, Conflict for a container that is being removed.
    """
    with container.requested():
        record = container.record
        container.check("update")
        changed = _changed(record.host_config, wish)
        if changed.auto_remove and changed.restart_policy.name not in ("", "no"):
            reason = "Restart policy cannot be updated because AutoRemove is enabled for the container"
            raise Conflict(f"Cannot update container {container.id}: {reason}", container=container.id)
        check(changed, record.config)
        changed, discarded = limit_checks.within(changed, able)
        task = container.task
        limits_asked = limits.resources(wish)
        if task is not None and record.state.running and limits_asked != limits.resources(UpdateConfig()):
            task.update(limits.resources(changed))
        container.change(host_config=changed)
    return discarded


def _changed(host: HostConfig, wish: UpdateConfig) -> HostConfig:
    """Return `host` with every limit that `wish` sets in place of its own."""
    fields = {
        field.name: getattr(wish, field.name)
        for field in msgspec.structs.fields(UpdateConfig)
        if getattr(wish, field.name) != field.default and not isinstance(getattr(wish, field.name), RestartPolicy)
    }
    fields = {name: value for name, value in fields.items() if value not in (0, "", (), None)}
    if wish.pids_limit is not None:
        fields["pids_limit"] = max(wish.pids_limit, 0)  # as dockerd keeps it: 0 for no limit
    if "memory" in fields and "memory_swap" not in fields and 0 < host.memory_swap < fields["memory"]:
        raise InvalidInput(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    policy = wish.restart_policy if wish.restart_policy.name else host.restart_policy
    return msgspec.structs.replace(host, restart_policy=policy, **fields)


def connect(
    container: Container,
    networks: Networks,
    network: Network,
    endpoint: EndpointConfig,
    defaults: Defaults,
    find: Get,
) -> None:
    """Join `network`, at once where the container runs, and at every start to come.

    Raise Forbidden where the container is in the network already, Conflict for an address in use, InvalidInput for
    containers that have another's network or the host's.
    """
    check_endpoint(network.name, endpoint)
    with container.requested():
        record = container.record
        _check_joinable(record.host_config.network_mode, network)
        if network.name in record.networks:
            raise Forbidden(f"endpoint with name {record.name} already exists in network {network.name}")
        if container.state.running:
            networks.join(container.id, network.id, sandbox_of(container).endpoint(endpoint))
        container.change(networks={**record.networks, network.name: endpoint})
        if container.state.running:
            rewrite_hosts(container, networks, find)
            answer_names(container, networks, defaults)


def rename_places(container: Container, networks: Networks) -> None:
    """Have the present name of a running container lead to it in its networks, instead of the one before."""
    spec, places = sandbox_of(container), container.record.networks
    for endpoint in networks.joined(container.id):
        names = spec.endpoint(places.get(endpoint.network, EndpointConfig())).names
        if names != endpoint.names:
            networks.rename(endpoint, names)


def _check_joinable(mode: str, network: Network) -> None:
    if network.driver == "host" and mode != "host":
        raise InvalidInput("cannot connect container to host network - container must be created in host network mode")
    if mode == "host" or mode.startswith("container:"):
        raise InvalidInput(
            "container sharing network namespace with another container or host cannot be connected to any other "
            "network"
        )
    if mode == "none" or network.driver == "null":
        raise InvalidInput(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )


def disconnect(container: Container, networks: Networks, network: Network, find: Get) -> None:
    """Leave `network` at once, and for good. Raise Conflict where the container is not in it."""
    with container.requested():
        record = container.record
        if network.driver == "host" and record.host_config.network_mode == "host":
            raise InvalidInput(
                "cannot disconnect container from host network - container was created in host network mode"
            )
        if network.name not in record.networks:
            raise Conflict(f"container {container.id} is not connected to network {network.name}")
        if container.state.running:
            networks.leave(container.id, network.id)
        container.change(networks={name: config for name, config in record.networks.items() if name != network.name})
        if container.state.running:
            rewrite_hosts(container, networks, find)
