"""Networks and volumes of a daemon: the `/networks` and `/volumes` parts of the Engine API."""

from __future__ import annotations

from lamina.cancellation import NEVER, Cancellation
from lamina.client import lists
from lamina.client.documents import Created, Network, Pruned, Volume
from lamina.client.transport import Transport, encode_name
from lamina.light import TYPE_CHECKING
from lamina.types import resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamina.api.networks import NetworkOptions
    from lamina.formats.matching import Filters


class Networks(resources.Networks):
    """The verbs of `lamina.types.Networks` on a daemon's networks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, options: NetworkOptions | None = None) -> Network:
        from lamina.api.networks import NetworkOptions, encode

        body = encode(name, options or NetworkOptions())
        return self.get(Created(self._transport.json("POST", "/networks/create", json_body=body)).id)

    def get(self, reference: str) -> Network:
        return Network(self._transport.json("GET", f"/networks/{encode_name(reference)}"))

    def list(self, filters: Filters | None = None) -> list[Network]:
        return [Network(item) for item in lists.networks(self._transport, filters)]

    def remove(self, reference: str) -> None:
        self._transport.json("DELETE", f"/networks/{encode_name(reference)}")

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        query = {"filters": filters or None}
        return Pruned(self._transport.json("POST", "/networks/prune", query, cancellation=cancellation))


class Volumes(resources.Volumes):
    """The verbs of `lamina.types.Volumes` on a daemon's volumes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str | None = None,
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        driver_opts: Mapping[str, str] | None = None,
    ) -> Volume:
        body = {
            "Name": name or "",
            "Driver": driver,
            "Labels": dict(labels or {}),
            "DriverOpts": dict(driver_opts or {}),
        }
        return Volume(self._transport.json("POST", "/volumes/create", json_body=body))

    def get(self, name: str) -> Volume:
        return Volume(self._transport.json("GET", f"/volumes/{encode_name(name)}"))

    def list(self, filters: Filters | None = None) -> list[Volume]:
        return [Volume(item) for item in lists.volumes(self._transport, filters)]

    def remove(self, name: str, *, force: bool = False) -> None:
        self._transport.json("DELETE", f"/volumes/{encode_name(name)}", {"force": force})

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        query = {"filters": filters or None}
        return Pruned(self._transport.json("POST", "/volumes/prune", query, cancellation=cancellation))
