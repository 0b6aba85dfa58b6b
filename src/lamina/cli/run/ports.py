"""`-p` and `--expose`: Docker's notations of ports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lamina.api.containers import PortHost
from lamina.errors import InvalidInput

PUBLISH = re.compile(
    r"(?:(?:\[(?P<ip6>[0-9a-fA-F:.%]+)\]|(?P<ip>\d+(?:\.\d+){3})):(?P<behind_ip>[\d-]*):|(?P<host>[\d-]*):)?"
    r"(?P<inside>\d+(?:-\d+)?)(?:/(?P<protocol>tcp|udp|sctp))?",
    re.IGNORECASE,
)
ADVICE = "Write it as [IP:][HOST_PORT:]CONTAINER_PORT[/PROTOCOL]"
Bindings = dict[str, tuple[PortHost, ...]]


def parse_publish(specs: Sequence[str]) -> Bindings:
    """HostConfig.PortBindings of `-p` values. Raises InvalidInput naming the value that is wrong."""
    bindings: Bindings = {}
    for spec in specs:
        for port, ip, host_port in _publish(_plain(spec)):
            bindings[port] = (*bindings.get(port, ()), PortHost(host_ip=ip, host_port=host_port))
    return bindings


def exposed(specs: Sequence[str]) -> list[str]:
    """ "80/tcp" and so on for `--expose` values, ranges spelt out. Raises InvalidInput."""
    found: list[str] = []
    for spec in specs:
        span, _, protocol = spec.partition("/")
        found += [f"{port}/{(protocol or 'tcp').lower()}" for port in _range(span, spec)]
    return found


def _plain(spec: str) -> str:
    """The short notation of `target=80,published=8080,protocol=udp`."""
    if "=" not in spec:
        return spec
    pairs = dict(part.partition("=")[::2] for part in spec.split(","))
    return f"{pairs.get('published', '')}:{pairs.get('target', '')}/{pairs.get('protocol', 'tcp')}"


def _publish(spec: str) -> Iterator[tuple[str, str, str]]:
    match = PUBLISH.fullmatch(spec)
    if match is None:
        raise InvalidInput(f"invalid port {spec!r}", advice=ADVICE)
    inside = _range(match["inside"], spec)
    host = match["host"] or match["behind_ip"] or ""
    outside = _range(host, spec) if host else []
    protocol = (match["protocol"] or "tcp").lower()
    ip = match["ip6"] or match["ip"] or ""
    if outside and len(outside) != len(inside):
        if len(inside) != 1:
            raise InvalidInput(f"invalid port {spec!r}: its ranges are not of one length")
        yield f"{inside[0]}/{protocol}", ip, host  # one port, published to a free one of the range
        return
    for at, port in enumerate(inside):
        yield f"{port}/{protocol}", ip, str(outside[at]) if outside else ""


def _range(text: str, spec: str) -> range:
    first, dash, last = text.partition("-")
    numbers = [first, last if dash else first]
    if not all(number.isdecimal() and 0 < int(number) < 65536 for number in numbers):
        raise InvalidInput(f"invalid port {spec!r}: ports are numbers from 1 to 65535", advice=ADVICE)
    if int(numbers[0]) > int(numbers[1]):
        raise InvalidInput(f"invalid port {spec!r}: the range runs backwards")
    return range(int(numbers[0]), int(numbers[1]) + 1)
