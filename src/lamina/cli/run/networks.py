"""`--network` in both its notations, `-p`, `--expose`, and the flags of the endpoint in the first network."""

from __future__ import annotations

from lamina.cli.run.documents import docker_name, document
from lamina.errors import InvalidInput
from lamina.light import TYPE_CHECKING, Any, Mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lamina.cli.run.documents import Document

    Flags = Mapping[str, Any]

    Bindings = dict[str, tuple[Document, ...]]

NOT_USER_DEFINED = ("default", "bridge", "host", "none", "")
ADDRESSES = {"ip": "ipv4_address", "ip6": "ipv6_address"}


def network_mode(specs: Sequence[str]) -> str:
    """Return HostConfig.NetworkMode, which is the first network. Raise InvalidInput."""
    return _parse(specs[0])[0] if specs else "default"


def networking(flags: Flags) -> Document:
    """Return the endpoints of a create request. Raise InvalidInput for flags that do not fit together."""
    endpoints: dict[str, Document] = {}
    specs = flags["network"] or ("default",)
    for position, spec in enumerate(specs):
        name, endpoint = _parse(spec)
        if name in endpoints:
            raise InvalidInput(f"network {name!r} is specified multiple times")
        if position == 0:
            endpoint = _with_flags(name, endpoint, flags)
        if not _user_defined(name) and (endpoint.get("Aliases") or endpoint.get("Links")):
            raise InvalidInput("network-scoped aliases and links are only supported for user-defined networks")
        if endpoint or len(specs) > 1:
            endpoints[name] = endpoint
    kinds = {_user_defined(name) for name in endpoints}
    if len(kinds) > 1:
        raise InvalidInput("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    return document(endpoints_config=endpoints)


def _user_defined(name: str) -> bool:
    return name not in NOT_USER_DEFINED and not name.startswith("container:")


def _parse(spec: str) -> tuple[str, Document]:
    """Return the network and the endpoint of "web", or of "name=web,alias=db,ip=10.0.0.2"."""
    if "=" not in spec:
        return spec, {}
    import csv

    name = ""
    addresses: dict[str, Any] = {}
    members: dict[str, Any] = {}
    for field in next(csv.reader([spec]), []):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            raise InvalidInput(f"invalid field {field!r} in --network", advice="Write fields as key=value")
        if key == "name":
            name = value
        elif key == "alias":
            members["aliases"] = (*members.get("aliases", ()), value)
        elif key in ADDRESSES:
            addresses[ADDRESSES[key]] = value
        elif key == "link-local-ip":
            addresses["link_local_ips"] = (*addresses.get("link_local_ips", ()), value)
        elif key == "mac-address":
            members["mac_address"] = value
        elif key == "gw-priority":
            members["gw_priority"] = _number(value)
        elif key == "driver-opt":
            option, _, text = value.partition("=")
            members["driver_opts"] = {**members.get("driver_opts", {}), option: text}
        else:
            raise InvalidInput(f"unexpected key {key!r} in --network")
    if not name:
        raise InvalidInput(f"--network {spec!r} names no network", advice="Add name=NETWORK")
    return name, document(ipam=document(**addresses), **members)


def _number(text: str) -> int:
    if not text.lstrip("-").isdecimal():
        raise InvalidInput(f"invalid gw-priority {text!r}: it is a whole number")
    return int(text)


def _with_flags(name: str, endpoint: Document, flags: Flags) -> Document:
    """Return the endpoint with the older flags, which are about the first network."""
    members = {"aliases": flags["network_alias"], "mac_address": flags["mac_address"]}
    if _user_defined(name):
        members["links"] = flags["link"]
    members = {member: value for member, value in members.items() if value}
    for member in members:
        if docker_name(member) in endpoint:
            raise InvalidInput(f"conflicting options: {member} is given by --network and by a flag of its own")
    addresses = {
        "ipv4_address": flags["ip"],
        "ipv6_address": flags["ip6"],
        "link_local_ips": flags["link_local_ip"],
    }
    ipam = {**endpoint.get("IPAMConfig", {}), **document(**addresses)}
    return {**endpoint, **document(ipam=ipam, **members)}


PUBLISH = (
    r"(?:(?:\[(?P<ip6>[0-9a-fA-F:.%]+)\]|(?P<ip>\d+(?:\.\d+){3})):(?P<behind_ip>[\d-]*):|(?P<host>[\d-]*):)?"
    r"(?P<inside>\d+(?:-\d+)?)(?:/(?P<protocol>tcp|udp|sctp))?"
)
ADVICE = "Write it as [IP:][HOST_PORT:]CONTAINER_PORT[/PROTOCOL]"


def parse_publish(specs: Sequence[str]) -> Bindings:
    """Return `-p` values as HostConfig.PortBindings. Raise InvalidInput naming the wrong value."""
    bindings: Bindings = {}
    for spec in specs:
        for port, ip, host_port in _publish(_plain(spec)):
            bindings[port] = (*bindings.get(port, ()), document(host_ip=ip, host_port=host_port))
    return bindings


def exposed(specs: Sequence[str]) -> list[str]:
    """Return `--expose` values such as "80/tcp", with ranges spelt out. Raise InvalidInput."""
    ports: list[str] = []
    for spec in specs:
        span, _, protocol = spec.partition("/")
        ports += [f"{port}/{(protocol or 'tcp').lower()}" for port in _range(span, spec)]
    return ports


def _plain(spec: str) -> str:
    """Return the short notation of `target=80,published=8080,protocol=udp`."""
    if "=" not in spec:
        return spec
    pairs = dict(part.partition("=")[::2] for part in spec.split(","))
    return f"{pairs.get('published', '')}:{pairs.get('target', '')}/{pairs.get('protocol', 'tcp')}"


def _publish(spec: str) -> Iterator[tuple[str, str, str]]:
    import re

    match = re.fullmatch(PUBLISH, spec, re.IGNORECASE)
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
    for position, port in enumerate(inside):
        yield f"{port}/{protocol}", ip, str(outside[position]) if outside else ""


def _range(text: str, spec: str) -> range:
    first, dash, last = text.partition("-")
    numbers = [first, last if dash else first]
    if not all(number.isdecimal() and 0 < int(number) < 65536 for number in numbers):
        raise InvalidInput(f"invalid port {spec!r}: ports are numbers from 1 to 65535", advice=ADVICE)
    if int(numbers[0]) > int(numbers[1]):
        raise InvalidInput(f"invalid port {spec!r}: the range runs backwards")
    return range(int(numbers[0]), int(numbers[1]) + 1)
