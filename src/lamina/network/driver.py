"""What a network driver does."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lamina.network.model import Endpoint, Network


class Driver(Protocol):
    """Make networks of one kind, and put containers into them. Thread-safe."""

    def make(self, network: Network) -> None:
        """Make what the network is on the host, where it is missing.

        Raise InvalidInput for a parent that is not there, Unsupported for what the kernel lacks, Internal with its
        reason for anything else.
        """

    def remove(self, network: Network) -> None:
        """Remove what was made for the network; parts that are gone already are ignored."""

    def attach(self, network: Network, endpoint: Endpoint, namespace: Path) -> None:
        """Make the endpoint's interface in the container's `namespace`, without addresses and not up."""

    def detach(self, endpoint: Endpoint, namespace: Path) -> None:
        """Remove the endpoint's interface; one that is gone already is ignored."""
