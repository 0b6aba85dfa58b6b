"""The rooms and verbs that engines and clients share, and what they say of the engine itself."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.light import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lamina.formats.matching import Filters
    from lamina.types.builds import Builds
    from lamina.types.containers import Containers
    from lamina.types.explorer import Explorer
    from lamina.types.images import Images
    from lamina.types.registries import Registries
    from lamina.types.resources import Networks, Volumes


class Version(Protocol):
    """The engine's own version, such as "0.1.0", the kernel's, and the architecture in Go's words, such as amd64."""

    @property
    def version(self) -> str: ...
    @property
    def kernel(self) -> str: ...
    @property
    def architecture(self) -> str: ...


class Machine(Protocol):
    """The host of an engine. `memory` in bytes; `architecture` in the kernel's words, such as x86_64."""

    @property
    def name(self) -> str: ...
    @property
    def kernel(self) -> str: ...
    @property
    def system(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def cpus(self) -> int: ...
    @property
    def memory(self) -> int: ...


class Info(Protocol):
    """An engine and its machine at one moment.

    `id` names the data root `root`, and is the same at each start. `running`, `paused` and `stopped` count containers:
    stopped are all others. `driver` stores snapshots, `runtime` runs containers, `labels` are such as "place=cellar",
    `warnings` are sentences about what this machine lacks.
    """

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def machine(self) -> Machine: ...
    @property
    def root(self) -> str: ...
    @property
    def driver(self) -> str: ...
    @property
    def runtime(self) -> str: ...
    @property
    def running(self) -> int: ...
    @property
    def paused(self) -> int: ...
    @property
    def stopped(self) -> int: ...
    @property
    def images(self) -> int: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


class DiskUsage(Protocol):
    """What takes the disk, in bytes.

    `layers_size` counts the files of each layer once, however many images share it. `containers` has the files that
    each container changed, by its ID; `volumes` goes by name. `remote_layers` has what the explorer keeps of layers at
    registries, by a name of each.
    """

    @property
    def layers_size(self) -> int: ...
    @property
    def containers(self) -> Mapping[str, int]: ...
    @property
    def volumes(self) -> Mapping[str, int]: ...
    @property
    def remote_layers(self) -> Mapping[str, int]: ...


class Event(Protocol):
    """One thing that happened, in Docker's words: `type` "container", `action` "die".

    `actor_id` is the ID of the object, its name where it has no ID. `attributes` tell more: the name, labels, the exit
    code. `time_ns` is in nanoseconds since the epoch.
    """

    @property
    def type(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def actor_id(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...
    @property
    def time_ns(self) -> int: ...


class Library(Protocol):
    """An engine or a client: its rooms, and the verbs on the whole."""

    @property
    def images(self) -> Images: ...
    @property
    def explorer(self) -> Explorer: ...
    @property
    def containers(self) -> Containers: ...
    @property
    def networks(self) -> Networks: ...
    @property
    def volumes(self) -> Volumes: ...
    @property
    def builds(self) -> Builds: ...
    @property
    def registries(self) -> Registries: ...

    def version(self) -> Version:
        """Return the engine's version."""

    def info(self) -> Info:
        """Return what the engine and its machine are, at this moment."""

    def disk_usage(self, types: Sequence[str] = ()) -> DiskUsage:
        """Return what takes the disk: all of it, or of `types` (image, container, volume, build-cache).

        Every file of the containers and volumes is looked at, so this takes its time.
        """

    def events(
        self,
        *,
        since: str = "",
        until: str = "",
        filters: Filters | None = None,
        cancellation: Cancellation = NEVER,
    ) -> Iterator[Event]:
        """Return what happens from now on, or from `since`, up to `until`, or without end.

        Times are RFC 3339, Unix seconds or a span back from now ("10m"). `filters` are Docker's: type, event, label,
        scope, and the kinds of objects. Raise InvalidInput for others. The iterator raises Cancelled.
        """

    def close(self) -> None:
        """Close files, rooms and connections; running containers stay. May be called twice."""
