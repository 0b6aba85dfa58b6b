"""`--link` on the default bridge, where containers have no names: lines of /etc/hosts and environment variables.

A link is kept with the ID of the container it leads to, so that either may be renamed. In user networks a link is a
name that the name server knows, see `lamina.network.names`. Rules: moby daemon/links, daemon_unix.go (registerLinks),
delete.go (rmLink).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from lamina.api.containers import HostConfig
from lamina.containers.container import Container
from lamina.containers.ports import parse
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.network.model import DEFAULT
from lamina.network.networks import Networks
from lamina.sandbox.spec import parse_link

Get = Callable[[str], Container]

_NOT_PASSED_ON = ("HOME", "PATH")


@dataclass(frozen=True, slots=True)
class Linked:
    """A container that another one links to, the alias, and the address on the default bridge."""

    container: Container
    alias: str
    address: str


def with_links_by_id(host: HostConfig, find: Get) -> HostConfig:
    """Return `host` with the IDs of the containers that its links on the default bridge name.

    Of several links with one alias the first counts. Raise InvalidInput for an unknown container, or one that is in
    the host's network.
    """
    if host.network_mode != DEFAULT:
        return host
    links: dict[str, str] = {}
    for link in host.links:
        name, alias = parse_link(link)
        links.setdefault(alias, f"{_link_target(name, find).id}:{alias}")
    return msgspec.structs.replace(host, links=tuple(links.values()))


def _link_target(name: str, find: Get) -> Container:
    """Return the container that has the network of the one called `name`."""
    while True:
        try:
            target = find(name)
        except NotFound as error:
            raise InvalidInput(f"could not get container for {name}: {error.message}", container=name) from None
        mode = target.record.host_config.network_mode
        if mode == "host":
            raise InvalidInput(
                "conflicting options: host type networking can't be used with links. This would result in undefined "
                "behavior"
            )
        if not mode.startswith("container:"):
            return target
        name = mode.removeprefix("container:")


def linked(container: Container, networks: Callable[[], Networks], find: Get) -> list[Linked]:
    """Return the containers that a container links to on the default bridge.

    Raise InvalidInput where one does not run there, NotFound where it is gone.
    """
    return [_linked(find(id), alias, container, networks()) for id, alias in _links(container)]


def still_linked(container: Container, networks: Callable[[], Networks], find: Get) -> list[Linked]:
    """Return those of them that run."""
    running = []
    for id, alias in _links(container):
        try:
            running.append(_linked(find(id), alias, container, networks()))
        except (InvalidInput, NotFound):
            continue
    return running


def _links(container: Container) -> Iterator[tuple[str, str]]:
    host = container.record.host_config
    return map(parse_link, host.links if host.network_mode == DEFAULT else ())


def _linked(target: Container, alias: str, container: Container, networks: Networks) -> Linked:
    place = f"/{container.name}/{alias}"
    if not target.state.running:
        raise InvalidInput(f"Cannot link to a non running container: /{target.name} AS {place}", container=target.id)
    for endpoint in networks.joined(target.id):
        if endpoint.network == DEFAULT:
            return Linked(target, alias, endpoint.ip)
    raise InvalidInput(f"Cannot link to /{target.name}, as it does not belong to the default network")


def hosts_lines(links: Iterable[Linked]) -> tuple[tuple[str, str], ...]:
    """Return lines for /etc/hosts: the address, and the names that lead to it."""
    return tuple(
        (
            link.address,
            " ".join(dict.fromkeys((link.alias, link.container.record.config.hostname, link.container.name))),
        )
        for link in links
    )


def variables(container: Container, links: Iterable[Linked]) -> tuple[str, ...]:
    """Return the environment variables that links give a container."""
    return tuple(variable for link in links for variable in _variables(container, link))


def _variables(container: Container, link: Linked) -> Iterator[str]:
    prefix = link.alias.upper().replace("-", "_")
    config = link.container.record.config
    ports = sorted(map(parse, config.exposed_ports), key=lambda port: (port[1] != "tcp", port[1], port[0]))
    if ports:
        yield f"{prefix}_PORT={_url(link, *ports[0])}"
    for number, protocol in ports:
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        yield f"{name}={_url(link, number, protocol)}"
        yield f"{name}_ADDR={link.address}"
        yield f"{name}_PORT={number}"
        yield f"{name}_PROTO={protocol}"
    for first, last in _ranges(ports):
        name = f"{prefix}_PORT_{first[0]}_{first[1].upper()}"
        yield f"{name}_START={_url(link, *first)}"
        yield f"{name}_PORT_START={first[0]}"
        yield f"{name}_END={_url(link, *last)}"
        yield f"{name}_PORT_END={last[0]}"
    yield f"{prefix}_NAME=/{container.name}/{link.alias}"
    for variable in config.env:
        if "=" in variable and variable.partition("=")[0] not in _NOT_PASSED_ON:
            yield f"{prefix}_ENV_{variable}"


def _url(link: Linked, number: int, protocol: str) -> str:
    return f"{protocol}://{link.address}:{number}"


def _ranges(ports: Sequence[tuple[int, str]]) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    """Yield the first and the last port of each run of consecutive ones."""
    start = 0
    for end in range(1, len(ports) + 1):
        number, protocol = ports[end - 1]
        if end == len(ports) or ports[end] != (number + 1, protocol):
            if end - start > 1:
                yield ports[start], ports[end - 1]
            start = end


def links_shown(container: Container, find: Get) -> tuple[str, ...]:
    """Return the links as `inspect` shows them, with the present names; those to containers that are gone are not."""
    texts = []
    for id, alias in _links(container):
        try:
            texts.append(f"/{find(id).name}:/{container.name}/{alias}")
        except NotFound:
            continue
    return tuple(texts)


def link_names(containers: Iterable[Container]) -> Mapping[str, list[str]]:
    """Return the further names that links give containers, by the container's ID."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for container in containers:
        for id, alias in _links(container):
            names[id].append(f"/{container.name}/{alias}")
    return names


def link_target(name: str, find: Get) -> Container:
    """Return the container to which the link `parent/alias` leads. Raise NotFound."""
    parent, _, alias = name.rpartition("/")
    for id, each in _links(find(parent)):
        if each == alias:
            return find(id)
    raise NotFound(f"No such container: {name}", container=name)


def remove_link(name: str, find: Get) -> Container:
    """Remove the link `parent/alias`, and return the parent.

    Raise Conflict for a container's own name, NotFound where there is no such container or link.
    """
    parent_name, slash, alias = name.removeprefix("/").rpartition("/")
    if not slash:
        raise Conflict("Conflict, cannot remove the default link name of the container", container=name)
    parent = find(parent_name)
    with parent.lock:
        host = parent.record.host_config
        links = tuple(link for link in host.links if parse_link(link)[1] != alias)
        if host.network_mode != DEFAULT or links == host.links:
            raise NotFound(f"No such container: {name}", container=name)
        parent.change(host_config=msgspec.structs.replace(host, links=links))
    return parent
