"""Ports to publish, from Docker's words."""

from __future__ import annotations

from collections.abc import Iterator

from lamina.api.containers import Config, HostConfig, PortHost
from lamina.errors import InvalidInput
from lamina.network.model import PortBinding

_PROTOCOLS = ("tcp", "udp", "sctp")


def parse(port: str) -> tuple[int, str]:
    """Return number and protocol of "80/tcp" or "80". Raise InvalidInput."""
    number, _, protocol = port.partition("/")
    protocol = protocol.lower() or "tcp"
    if not number.isdigit() or not 0 < int(number) < 65536 or protocol not in _PROTOCOLS:
        raise InvalidInput(f'invalid port specification: "{port}"', port=port)
    return int(number), protocol


def parse_range(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number, protocol) of each port of "80", "80/tcp" or "8000-8010/udp". Raise InvalidInput."""
    numbers, slash, protocol = text.partition("/")
    first, dash, last = numbers.partition("-")
    low, kind = parse(f"{first}{slash}{protocol}")
    high, _ = parse(last) if dash else (low, "")
    if high < low:
        raise InvalidInput(f"invalid port specification: {text!r}", port=text)
    return ((number, kind) for number in range(low, high + 1))


def wanted(config: Config, host: HostConfig) -> tuple[PortBinding, ...]:
    """Return what to publish: the bindings asked for, and with PublishAllPorts every exposed port without one."""
    bindings = []
    for port, places in host.port_bindings.items():
        number, protocol = parse(port)
        for place in places or (PortHost(),):  # an empty list means any port, as dockerd has it
            first, last = _range(place.host_port)
            bindings.append(
                PortBinding(
                    container_port=number, proto=protocol, host_ip=place.host_ip, host_port=first, host_port_end=last
                )
            )
    if host.publish_all_ports:
        bound = {(binding.container_port, binding.proto) for binding in bindings}
        exposed = [parse(port) for port in config.exposed_ports]
        bindings += [PortBinding(container_port=p, proto=proto) for p, proto in exposed if (p, proto) not in bound]
    return tuple(bindings)


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not text:
        return 0, 0
    if not first.isdigit() or (last and not last.isdigit()):
        raise InvalidInput(f"invalid hostPort: {text}", port=text)
    low, high = int(first), int(last or 0)
    if low > 65535 or high > 65535 or (last and high < low):
        raise InvalidInput(f"invalid hostPort: {text}", port=text)
    return low, high
