"""A client of the Docker Engine API: synchronous, typed, and quick to import: each name is when it is asked for."""

from __future__ import annotations

from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from lamina.client.address import Address as Address
    from lamina.client.address import parse_address as parse_address
    from lamina.client.client import Client as Client
    from lamina.client.client import connect as connect
    from lamina.client.dial import Tls as Tls
    from lamina.client.documents import Document as Document

_HOMES = {
    "Address": "address",
    "Client": "client",
    "Document": "documents",
    "Tls": "dial",
    "connect": "client",
    "parse_address": "address",
}
__all__ = ["Address", "Client", "Document", "Tls", "connect", "parse_address"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'lamina.client' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"lamina.client.{home}"), name)
