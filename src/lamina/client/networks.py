"""Networks of a daemon: the `/networks` part of the Engine API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lamina.client.documents import Created, Network, Pruned
from lamina.client.transport import Transport, encode_name

if TYPE_CHECKING:
    from lamina.api.containers import EndpointConfig


class Networks:
    """Verbs on networks; a reference is a name, an ID or a unique start of one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, **options: Any) -> Created:
        """`options` are Docker's keys of the request: Driver, Internal, IPAM, Options, Labels, EnableIPv6, …"""
        body = {"Name": name, "CheckDuplicate": True, **options}
        return Created(self._transport.json("POST", "/networks/create", json_body=body))

    def get(self, reference: str, *, verbose: bool = False) -> Network:
        """What inspect tells. Raises NotFound."""
        return Network(self._transport.json("GET", f"/networks/{encode_name(reference)}", {"verbose": verbose}))

    def list(self, filters: Mapping[str, Sequence[str]] | None = None) -> list[Network]:
        """All of them, or those that fit Docker's filters."""
        return [Network(item) for item in self._transport.json("GET", "/networks", {"filters": filters or None})]

    def remove(self, reference: str) -> None:
        """Raises NotFound, and Forbidden for a predefined network or one that is in use."""
        self._transport.json("DELETE", f"/networks/{encode_name(reference)}")

    def prune(self, filters: Mapping[str, Sequence[str]] | None = None) -> Pruned:
        """Remove networks that no container uses."""
        return Pruned(self._transport.json("POST", "/networks/prune", {"filters": filters or None}))

    def connect(self, reference: str, container: str, endpoint: EndpointConfig | None = None) -> None:
        """Let a container join the network, with the addresses and names that `endpoint` asks for."""
        from lamina.api.containers import encode

        body = {"Container": container, "EndpointConfig": encode(endpoint) if endpoint else {}}
        self._transport.json("POST", f"/networks/{encode_name(reference)}/connect", json_body=body)

    def disconnect(self, reference: str, container: str, *, force: bool = False) -> None:
        """Take a container out of the network; with `force` even one that is gone."""
        body = {"Container": container, "Force": force}
        self._transport.json("POST", f"/networks/{encode_name(reference)}/disconnect", json_body=body)
