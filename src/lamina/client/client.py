"""The client of one daemon: its rooms `images`, `containers`, `networks` and `volumes`, and the verbs on the whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lamina.client.address import Address, default_socket, parse_address
from lamina.client.containers import Containers
from lamina.client.dial import Tls
from lamina.client.documents import Image
from lamina.client.images import Images
from lamina.client.messages import Auth
from lamina.client.networks import Networks
from lamina.client.transport import Transport
from lamina.client.volumes import Volumes
from lamina.progress import Report, ignore

if TYPE_CHECKING:
    from lamina.api.build import BuildRequest
    from lamina.api.containers import EndpointConfig


class Client:
    """Speaks the Engine API with a daemon, lamina's or Docker's. Thread-safe; a context manager that closes itself.

    Nothing is sent before the first verb, so making a Client never fails for want of a daemon. `version` fixes the API
    version instead of negotiating it; `timeout` limits connecting, in seconds.
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
        self.images = Images(self.transport)
        self.containers = Containers(self.transport)
        self.networks = Networks(self.transport)
        self.volumes = Volumes(self.transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    @property
    def address(self) -> Address:
        """Where the daemon is."""
        return self.transport.address

    @property
    def api_version(self) -> str:
        """The version both sides speak, such as "1.41"."""
        return self.transport.version

    @cached_property
    def reads_in_place(self) -> bool:
        """Whether builds may name a directory instead of sending it: lamina's daemon, over a unix socket."""
        return self.address.scheme == "unix" and (self.version().get("Platform") or {}).get("Name") == "lamina"

    def close(self) -> None:
        """Close idle connections. May be called twice."""
        self.transport.close()

    def ping(self) -> Mapping[str, str]:
        """The headers of `_ping`, in lower case. Raises Unavailable where no daemon answers."""
        return self.transport.ping()

    def version(self) -> dict[str, Any]:
        """The daemon's version and that of its parts, as Docker's JSON."""
        return dict(self.transport.json("GET", "/version"))

    def info(self) -> dict[str, Any]:
        """What the daemon and its machine are, as Docker's JSON."""
        return dict(self.transport.json("GET", "/info"))

    def disk_usage(self, types: Sequence[str] = ()) -> dict[str, Any]:
        """What takes the space: `types` chooses from image, container, volume and build-cache."""
        return dict(self.transport.json("GET", "/system/df", {"type": list(types)}))

    def events(
        self,
        *,
        since: str | None = None,
        until: str | None = None,
        filters: Mapping[str, Sequence[str]] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """What happens, as it happens, until `until` (seconds since the epoch, as text) or until closed."""
        query = {"since": since, "until": until, "filters": filters or None}
        return self.transport.lines("GET", "/events", query)

    def build(
        self,
        context: str | os.PathLike[str],
        request: BuildRequest | None = None,
        *,
        report: Report = ignore,
        auths: Mapping[str, Auth] | None = None,
    ) -> Image:
        """Build the directory `context` with the classic builder, and return the image.

        Raise CommandFailed when a step fails, InvalidInput for a wrong Dockerfile.
        """
        from lamina.api.build import BuildRequest
        from lamina.client.building import run_build
        from lamina.client.context import directory_context, in_place_context

        make = in_place_context if self.reads_in_place else directory_context
        chosen = request or BuildRequest()
        sent = make(os.fspath(context), chosen.dockerfile)
        image = run_build(self.images, sent, chosen, report=report, auths=lambda: auths or {})
        return self.images.get(image)

    def pull(self, reference: str, **options: Any) -> Image:
        """Bring an image from its registry; without a tag, `latest`. `options` are those of `images.pull`."""
        from lamina.formats.reference import Reference

        known = Reference.parse(reference).with_default_tag()
        self.images.pull(known.familiar_name, str(known.digest or known.tag), **options)
        return self.images.get(reference)

    def push(self, reference: str, **options: Any) -> None:
        """Send an image to the registry its name tells. `options` are those of `images.push`."""
        from lamina.formats.reference import Reference

        known = Reference.parse(reference).with_default_tag()
        self.images.push(known.familiar_name, known.tag or "", **options)

    def login(self, auth: Auth) -> dict[str, Any]:
        """Try credentials at a registry: `{"Status": …, "IdentityToken": …}`. Raises Unauthorized."""
        return dict(self.transport.json("POST", "/auth", json_body=dict(auth)) or {})

    def commit(self, container: str, reference: str = "", **options: Any) -> Image:
        """An image of what a container changed. `options` are those of `images.commit`."""
        from lamina.formats.reference import Reference

        known = Reference.parse(reference).with_default_tag() if reference else None
        name, tag = (known.familiar_name, known.tag or "") if known else ("", "")
        return self.images.get(self.images.commit(container, name, tag, **options).id)

    def search(self, term: str, *, limit: int = 25) -> Sequence[dict[str, Any]]:
        """Images that a registry has, as `images.search` gives them."""
        return self.images.search(term, limit=limit)

    def connect(self, network: str, container: str, endpoint: EndpointConfig | None = None) -> None:
        """Let a container join a network. See `networks.connect`."""
        self.networks.connect(network, container, endpoint)

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        """Let a container leave a network. See `networks.disconnect`."""
        self.networks.disconnect(network, container, force=force)

    def prune_build_cache(
        self, filters: Mapping[str, Sequence[str]] | None = None, *, all: bool = False
    ) -> dict[str, Any]:
        """Empty the build cache; gives CachesDeleted and SpaceReclaimed."""
        return dict(self.transport.json("POST", "/build/prune", {"filters": filters or None, "all": all}) or {})


def connect(host: str | None = None, *, tls: Tls | None = None, version: str | None = None) -> Client:
    """A Client of the daemon at `host` ("unix:///run/x.sock", "tcp://machine:2376"), or of lamina's default daemon.

    Raises InvalidInput for a host that cannot be understood. The environment is not looked at: that is the command
    line's habit.
    """
    address = parse_address(host, tls=tls is not None) if host else Address("unix", path=default_socket())
    return Client(address, tls=tls, version=version)
