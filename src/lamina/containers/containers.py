"""The containers of one engine: everything people do with them, each verb one short composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from lamina.api.containers import Config, EndpointConfig, HostConfig, NetworkingConfig, UpdateConfig
from lamina.api.results import Pruned
from lamina.cancellation import NEVER, Cancellation
from lamina.containers import stop as stopping
from lamina.containers.catalog import Catalog, check_name
from lamina.containers.commit import commit
from lamina.containers.container import Container, Waiting
from lamina.containers.create import Created, Creator
from lamina.containers.execs import Execs
from lamina.containers.filters import prune, select
from lamina.containers.inspect import ContainerDetails, ContainerSummary, details
from lamina.containers.lifecycle import Lifecycle
from lamina.containers.links import link_names, links_shown, remove_link, still_linked, variables
from lamina.containers.process_verbs import ProcessVerbs
from lamina.containers.recovery import recover
from lamina.containers.rooms import Rooms
from lamina.containers.specs import SpecMaker, rewrite_hosts
from lamina.containers.summaries import Summaries
from lamina.containers.update import connect, disconnect, rename_places, update
from lamina.errors import InvalidInput, NotFound, NotModified
from lamina.formats.matching import Filters
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.formats.runconfig import RunConfig
from lamina.formats.text import several_texts
from lamina.images.create import CommitOptions
from lamina.images.image import Image
from lamina.linux.files import private_directory
from lamina.runtime.cgroups.layout import abilities
from lamina.sandbox.spec import Defaults


class Containers(ProcessVerbs):
    """The verbs of `lamina.types.Containers` over the rooms of one engine. Thread-safe.

    Opening takes over the containers of an earlier engine.
    """

    def __init__(self, rooms: Rooms, catalog: Catalog, defaults: Defaults | None = None) -> None:
        private_directory(catalog.root)
        chosen = self._defaults = defaults or Defaults()
        self._creator = Creator(rooms, catalog, chosen)
        specs = SpecMaker(chosen, self._link_variables)
        super().__init__(rooms, catalog, Lifecycle(rooms, catalog, chosen, specs), Execs(specs))
        self._summaries = Summaries(rooms)
        recover(self._lifecycle, catalog, rooms)

    def close(self) -> None:
        """Let running containers be, and end the starts that hang. May be called twice."""
        self._execs.close()
        self._lifecycle.close()

    def create(
        self,
        name: str | None,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
        platform: str = "",
    ) -> Created:
        return self.create_as(name, config, host_config or HostConfig(), networking or NetworkingConfig(), platform)

    def create_as(
        self,
        name: str | None,
        config: Config,
        host_config: HostConfig,
        networking: NetworkingConfig,
        platform: str = "",
        *,
        recursive_read_only: bool = True,
    ) -> Created:
        """Create a container. Without `recursive_read_only` the mounts below read-only binds stay writable."""
        parsed_platform = Platform.parse(platform) if platform else None
        created = self._creator.create(
            name, config, host_config, networking, parsed_platform, recursive_read_only=recursive_read_only
        )
        self._catalog.get(created.id).publish("create")
        return created

    def remove(self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        if link:
            parent = remove_link(reference, self._catalog.get)
            if parent.state.running:
                rewrite_hosts(parent, self._rooms.networks, self._catalog.get)
            return
        container = self.live(reference)
        self._lifecycle.remove(container, force=force, volumes=volumes)
        self._execs.forget(container)

    def rename(self, reference: str, name: str) -> None:
        container = self.live(reference)
        with container.requested():
            old, new = container.name, check_name(name)
            if new == old:
                raise InvalidInput("Renaming a container with the same name as its current name")
            self._catalog.rename(container, new)
            if container.state.running:
                rename_places(container, self._rooms.networks)
        container.publish("rename", oldName=f"/{old}")

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        return prune(self._catalog, self._rooms, self._lifecycle, filters or {}, cancellation)

    def get(self, reference: str, *, size: bool = False) -> ContainerDetails:
        container = self.live(reference)
        with container.still_there(reference):
            links = links_shown(container, self._catalog.get)
            return details(container, self._rooms, self._execs.of(container), links, size=size)

    def list(
        self, *, all: bool = False, limit: int = 0, size: bool = False, filters: Filters | None = None
    ) -> list[ContainerSummary]:
        containers = select(self._catalog, self._rooms, filters or {}, all=all, limit=limit)
        return self._summaries.of(containers, link_names(self._catalog.all()), size=size)

    def _link_variables(self, container: Container) -> tuple[str, ...]:
        return variables(container, still_linked(container, lambda: self._rooms.networks, self._catalog.get))

    def usage(self) -> Mapping[str, int]:
        """Return the bytes of the files that each container changed, by the container's ID."""
        sizes: dict[str, int] = {}
        for container in self._catalog.all():
            with suppress(NotFound):  # it is removed just now
                sizes[container.id] = self._rooms.snapshots.get(container.id).usage()
        return sizes

    def start(self, reference: str) -> bool:
        try:
            self._lifecycle.start(self.live(reference))
        except NotModified:
            return False
        return True

    def stop(self, reference: str, *, timeout: int | None = None, signal: str = "") -> bool:
        return stopping.stop(self.live(reference), timeout, signal)

    def restart(self, reference: str, *, timeout: int | None = None, signal: str = "") -> None:
        self._lifecycle.restart(self.live(reference), timeout, signal)

    def kill(self, reference: str, signal: str = "KILL") -> None:
        stopping.kill(number=stopping.parse_signal(signal), container=self.live(reference))

    def pause(self, reference: str) -> None:
        self._lifecycle.pause(self.live(reference))

    def unpause(self, reference: str) -> None:
        self._lifecycle.unpause(self.live(reference))

    def stop_all(self, timeout: int) -> None:
        """Stop all at once, each with `timeout` seconds before it is killed. Then raise the first failure."""
        with ThreadPoolExecutor(16) as threads:
            stops = [threads.submit(stopping.stop, container, timeout, "") for container in self._catalog.all()]
        for stop in stops:
            with suppress(NotFound):  # it has been removed meanwhile
                stop.result()

    def connect(self, reference: str, network: str, endpoint: EndpointConfig | None = None) -> None:
        joined = self._rooms.networks.get(network)
        place = endpoint or EndpointConfig()
        connect(self.live(reference), self._rooms.networks, joined, place, self._defaults, self.live)

    def disconnect(self, reference: str, network: str, *, force: bool = False) -> None:
        left = self._rooms.networks.get(network)
        try:
            disconnect(self.live(reference), self._rooms.networks, left, self.live)
        except NotFound:
            if not force:
                raise
            self._rooms.networks.leave(reference, left.id)

    def update(self, reference: str, changes: UpdateConfig) -> tuple[str, ...]:
        container = self.live(reference)
        warnings = update(container, changes, abilities(self._rooms.runtime.layout))
        container.publish("update")
        return warnings

    def waiting(self, reference: str, condition: str = "not-running", *, cancellation: Cancellation = NEVER) -> Waiting:
        return Waiting(self.live(reference).wait(condition or "not-running", cancellation), cancellation)

    def commit(
        self,
        reference: str,
        name: str = "",
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        config: RunConfig | None = None,
        pause: bool = True,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        container = self.live(reference)
        options = CommitOptions(
            container=container.record.config,
            config=config,
            changes=several_texts("changes", changes),
            author=author,
            message=message,
            references=(Reference.parse(name),) if name else (),
            extra={"container": container.id},
        )
        return commit(container, self._rooms, self._lifecycle, options, still=pause, cancellation=cancellation)
