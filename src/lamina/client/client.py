"""The client of one daemon: its rooms, and the verbs on the whole."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.client.address import Address, default_socket, parse_address
from lamina.client.transport import Transport
from lamina.light import TYPE_CHECKING, cached_property

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lamina.client.builds import Builds
    from lamina.client.containers import Containers
    from lamina.client.dial import Tls
    from lamina.client.explorer import Explorer
    from lamina.client.images import Images
    from lamina.client.registries import Registries
    from lamina.client.resources import Networks, Volumes
    from lamina.client.system_documents import DiskUsage, Event, Info, Version
    from lamina.formats.matching import Filters


class Client:
    """Speaks the Engine API with a daemon, lamina's or Docker's. Thread-safe; a context manager that closes itself.

        with lamina.connect() as client:
            print([image.tags for image in client.images.list()])

    Its rooms are `images`, `explorer`, `containers`, `builds`, `registries`, `networks` and `volumes`, with the verbs
    of an Engine. Nothing is sent before the first verb, so making a Client never fails for want of a daemon. `version`
    fixes the API version instead of negotiating it; `timeout` limits connecting, in seconds.
    """

    def __init__(
        self,
        address: Address,
        *,
        tls: Tls | None = None,
        version: str | None = None,
        timeout: float = 30.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.transport = Transport(address, tls, version, timeout, headers)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    @property
    def address(self) -> Address:
        """Return where the daemon is."""
        return self.transport.address

    @property
    def api_version(self) -> str:
        """Return the version both sides speak, such as "1.41"."""
        return self.transport.version

    # A room is imported when it is first used: a command uses one or two, and pays for them alone.

    @cached_property
    def images(self) -> Images:
        """Return the verbs on images."""
        from lamina.client.images import Images

        return Images(self.transport)

    @cached_property
    def explorer(self) -> Explorer:
        """Return the verbs that look into images."""
        from lamina.client.explorer import Explorer

        return Explorer(self.transport)

    @cached_property
    def containers(self) -> Containers:
        """Return the verbs on containers."""
        from lamina.client.containers import Containers

        return Containers(self.transport)

    @cached_property
    def builds(self) -> Builds:
        """Return the verbs on builds and their cache."""
        from lamina.client.builds import Builds

        return Builds(self.transport, lambda: self.reads_in_place, lambda: self.is_lamina, self)

    @cached_property
    def registries(self) -> Registries:
        """Return the verbs on registries: pull, push, login and so on."""
        from lamina.client.registries import Registries

        return Registries(self.transport, self.images)

    @cached_property
    def networks(self) -> Networks:
        """Return the verbs on networks."""
        from lamina.client.resources import Networks

        return Networks(self.transport)

    @cached_property
    def volumes(self) -> Volumes:
        """Return the verbs on volumes."""
        from lamina.client.resources import Volumes

        return Volumes(self.transport)

    @cached_property
    def is_lamina(self) -> bool:
        """Return whether the daemon is lamina's."""
        return (self.version().get("Platform") or {}).get("Name") == "lamina"

    @property
    def reads_in_place(self) -> bool:
        """Return whether builds may name a directory instead of sending it: lamina's daemon, over a unix socket."""
        return self.address.scheme == "unix" and self.is_lamina

    def close(self) -> None:
        """Close idle connections. May be called twice."""
        self.transport.close()

    def ping(self) -> Mapping[str, str]:
        """Return the headers of `_ping`, in lower case. Raise Unavailable where no daemon answers."""
        return self.transport.ping()

    def version(self) -> Version:
        """Return the daemon's version and that of its parts."""
        from lamina.client.system_documents import Version

        return Version(self.transport.json("GET", "/version"))

    def info(self) -> Info:
        """Return what the daemon and its machine are."""
        from lamina.client.system_documents import Info

        return Info(self.transport.json("GET", "/info"))

    def disk_usage(self, types: Sequence[str] = ()) -> DiskUsage:
        """Return what takes the disk: all of it, or of `types` (image, container, volume, build-cache).

        Every file of the containers and volumes is looked at, so this takes its time.
        """
        from lamina.client.system_documents import DiskUsage

        return DiskUsage(self.transport.json("GET", "/system/df", {"type": list(types)}))

    def dashboard_link(self) -> str:
        """Return a link that opens the daemon's dashboard once. Raise NotFound where the daemon serves none."""
        return str(self.transport.json("POST", "/dashboard/links")["Link"])

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
        from lamina.client.system_documents import Event

        query = {"since": since or None, "until": until or None, "filters": filters or None}
        return map(Event, self.transport.lines("GET", "/events", query, cancellation=cancellation))


def connect(host: str | None = None, *, tls: Tls | None = None, version: str | None = None) -> Client:
    """Return a Client of the daemon at `host` ("unix:///run/x.sock", "tcp://machine:2376"), or of lamina's default
    daemon.

    Raise InvalidInput for a host that cannot be understood. The environment is not looked at: that is the command
    line's habit.
    """
    address = parse_address(host, tls=tls is not None) if host else Address("unix", path=default_socket())
    return Client(address, tls=tls, version=version)
