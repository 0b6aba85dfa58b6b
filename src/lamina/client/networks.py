"""Networks of a daemon: the `/networks` part of the Engine API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.cancellation import NEVER, Cancellation
from lamina.client.documents import Created, Network, Pruned
from lamina.client.transport import Transport, encode_name

if TYPE_CHECKING:
    from lamina.api.networks import NetworkOptions
    from lamina.formats.matching import Filters


class Networks:
    """Verbs on networks; a reference is a name, an ID or a unique start of one.

    client.networks.create("backend", NetworkOptions(internal=True))
    client.containers.connect("server", "backend")
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, options: NetworkOptions | None = None) -> Network:
        """Make a network. Raise Conflict for a name or an address range in use."""
        from lamina.api.networks import NetworkOptions, encode

        body = encode(name, options or NetworkOptions())
        return self.get(Created(self._transport.json("POST", "/networks/create", json_body=body)).id)

    def get(self, reference: str) -> Network:
        """Return a network. Raise NotFound."""
        return Network(self._transport.json("GET", f"/networks/{encode_name(reference)}"))

    def list(self, filters: Filters | None = None) -> list[Network]:
        """Return all networks, or those that fit Docker's filters."""
        return [Network(item) for item in self._transport.json("GET", "/networks", {"filters": filters or None})]

    def remove(self, reference: str) -> None:
        """Remove a network. Raise NotFound, and Forbidden for a predefined network or one that is in use."""
        self._transport.json("DELETE", f"/networks/{encode_name(reference)}")

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        """Remove networks that no container uses."""
        query = {"filters": filters or None}
        return Pruned(self._transport.json("POST", "/networks/prune", query, cancellation=cancellation))
