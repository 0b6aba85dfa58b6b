"""Networks and volumes: what programs get to know of them, and the verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lamina.api.networks import Ipam, NetworkOptions
from lamina.cancellation import NEVER, Cancellation
from lamina.formats.matching import Filters


class Pruned(Protocol):
    """The IDs or names of what a prune removed, and the bytes of it."""

    @property
    def removed(self) -> Sequence[str]: ...
    @property
    def reclaimed(self) -> int: ...


class Network(Protocol):
    """A network; `driver` is bridge, host or null."""

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
    def labels(self) -> Mapping[str, str]: ...
    @property
    def options(self) -> Mapping[str, str]: ...
    @property
    def ipam(self) -> Ipam: ...


class Volume(Protocol):
    """A volume; `path` is where its files are on the engine's machine."""

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
    """Verbs on networks. A reference is a name, an ID or a unique beginning of one."""

    def create(self, name: str, options: NetworkOptions | None = None) -> Network:
        """Make a network. Raise Conflict for a name or an address range in use."""

    def get(self, reference: str) -> Network:
        """Return a network. Raise NotFound."""

    def list(self, filters: Filters | None = None) -> Sequence[Network]:
        """Return all networks, or those that fit Docker's filters."""

    def remove(self, reference: str) -> None:
        """Remove a network. Raise Forbidden for a predefined network or one in use."""

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        """Remove networks that no container uses."""


class Volumes(Protocol):
    """Verbs on volumes."""

    def create(
        self,
        name: str | None = None,
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        driver_opts: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume, or return the one that has this name. Without a name one is made up."""

    def get(self, name: str) -> Volume:
        """Return a volume. Raise NotFound."""

    def list(self, filters: Filters | None = None) -> Sequence[Volume]:
        """Return all volumes, or those that fit Docker's filters."""

    def remove(self, name: str, *, force: bool = False) -> None:
        """Delete a volume and its files. With `force` a volume that is not there is no error."""

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        """Remove anonymous volumes that no container uses; named ones too with the filter `{"all": ["true"]}`."""
