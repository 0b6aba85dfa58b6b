"""Networks and volumes as programs see them, and the verbs on them."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.light import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # clients inherit these verbs, and commands pay for each import
    from collections.abc import Mapping, Sequence

    from lamina.api.networks import Ipam, NetworkOptions
    from lamina.formats.matching import Filters


class Pruned(Protocol):
    """The IDs or names of what a prune removed, and the bytes of it."""

    @property
    def removed(self) -> Sequence[str]: ...
    @property
    def reclaimed(self) -> int: ...


class Network(Protocol):
    """A network. `driver` is bridge, macvlan, ipvlan, host or null, and `options` are what was asked of it.

    An `internal` network has no way to the outside. `ipam` says how its addresses are chosen, for the IP versions that
    are enabled.
    """

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def driver(self) -> str: ...
    @property
    def created(self) -> str: ...
    @property
    def internal(self) -> bool: ...
    @property
    def enable_ipv4(self) -> bool: ...
    @property
    def enable_ipv6(self) -> bool: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def options(self) -> Mapping[str, str]: ...
    @property
    def ipam(self) -> Ipam: ...


class Volume(Protocol):
    """A volume. `path` is where its files are on the engine's machine; `options` are what was asked of its driver."""

    @property
    def name(self) -> str: ...
    @property
    def driver(self) -> str: ...
    @property
    def created(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def options(self) -> Mapping[str, str]: ...
    @property
    def path(self) -> str: ...


class Networks(Protocol):
    """Verbs on networks. A reference is a name, an ID or a unique beginning of one.

        networks.create("backend", NetworkOptions(internal=True))
        containers.connect("server", "backend")

    Every verb raises NotFound for an unknown network, and InvalidInput where several IDs begin so.
    """

    def create(self, name: str, options: NetworkOptions | None = None) -> Network:
        """Make a network. Raise Conflict for a name or an address range in use, InvalidInput, NotFound (driver)."""

    def get(self, reference: str) -> Network:
        """Return a network."""

    def list(self, filters: Filters | None = None) -> Sequence[Network]:
        """Return the networks by name, all or those that fit Docker's filters.

        These are dangling, driver, id, label, name, scope and type. Raise InvalidInput for others.
        """

    def remove(self, reference: str) -> None:
        """Remove a network. Raise Forbidden for a predefined network or one in use."""

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        """Remove networks that no container uses. `filters` are Docker's (label, label!, until).

        Raise InvalidInput for others, and Cancelled before the next network.
        """


class Volumes(Protocol):
    """Verbs on volumes.

    volume = volumes.create("data", labels={"kind": "cache"})
    containers.create("db", Config(image="db"), HostConfig(binds=("data:/var/lib/db",)))
    """

    def create(
        self,
        name: str | None = None,
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        driver_opts: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume, or return the one of this name. Without a name it is anonymous and gets 64 hex digits.

        Raise NotFound for a driver other than local, InvalidInput for a bad name or option, Conflict where the name is
        taken with other options.
        """

    def get(self, name: str) -> Volume:
        """Return a volume. Raise NotFound."""

    def list(self, filters: Filters | None = None) -> Sequence[Volume]:
        """Return the volumes by name, all or those that fit Docker's filters (dangling, driver, label, name).

        Raise InvalidInput for other filters.
        """

    def remove(self, name: str, *, force: bool = False) -> None:
        """Delete a volume and its files. Raise NotFound (unless `force`), Conflict with the containers that use it."""

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        """Remove anonymous volumes that no container uses; named ones too with the filter `{"all": ["true"]}`.

        Other filters are label and label!. Raise InvalidInput for unknown ones, Cancelled before the next volume.
        """
