"""A client of the Docker Engine API: synchronous, typed, and quick to import."""

from lamina.client.address import Address, parse_address
from lamina.client.client import Client, connect
from lamina.client.dial import Tls
from lamina.client.documents import Container, Created, Document, Image, Network, Pruned, Volume
from lamina.client.stream import Stream

__all__ = [
    "Address",
    "Client",
    "Container",
    "Created",
    "Document",
    "Image",
    "Network",
    "Pruned",
    "Stream",
    "Tls",
    "Volume",
    "connect",
    "parse_address",
]
