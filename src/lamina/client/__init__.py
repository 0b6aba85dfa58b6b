"""A client of the Docker Engine API: synchronous, typed, and quick to import."""

from lamina.client.address import Address, parse_address
from lamina.client.client import Client, connect
from lamina.client.dial import Tls
from lamina.client.documents import Document

__all__ = ["Address", "Client", "Document", "Tls", "connect", "parse_address"]
