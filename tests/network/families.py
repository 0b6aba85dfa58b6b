"""The two families of addresses, for tests that hold for both."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.network.model import Endpoint


@dataclass(frozen=True)
class Family:
    """`host` and `neighbour` are the two ends of a link; `subnet` is for a network."""

    version: int
    host: str
    neighbour: str
    prefix: int
    every: str
    loopback: str
    subnet: str

    @property
    def socket(self) -> socket.AddressFamily:
        return socket.AF_INET if self.version == 4 else socket.AF_INET6

    def of(self, endpoint: Endpoint) -> str:
        return endpoint.ip if self.version == 4 else endpoint.ipv6

    def gateway(self, endpoint: Endpoint) -> str:
        return endpoint.gateway_of(self.version)

    def options(self, **options: str) -> NetworkOptions:
        """A network of both families."""
        return NetworkOptions(enable_ipv6=True, options={f"com.docker.network.{k}": v for k, v in options.items()})

    def fixed(self) -> NetworkOptions:
        """A network with `subnet`, and of this family alone."""
        ipam = Ipam(subnets=(Subnet(subnet=self.subnet),))
        return NetworkOptions(enable_ipv4=self.version == 4, enable_ipv6=self.version == 6, ipam=ipam)


V4 = Family(4, "10.9.0.1", "10.9.0.2", 24, "0.0.0.0", "127.0.0.1", "10.44.0.0/24")
V6 = Family(6, "2001:db8:9::1", "2001:db8:9::2", 64, "::", "::1", "fd44::/64")
