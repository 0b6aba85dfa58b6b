"""`--network` in both its notations, and the flags that describe the endpoint in the first network."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any

from lamina.errors import InvalidInput

Flags = Mapping[str, Any]
NOT_USER_DEFINED = ("default", "bridge", "host", "none", "")
ADDRESSES = {"ip": "IPv4Address", "ip6": "IPv6Address"}


def network_mode(specs: Sequence[str]) -> str:
    """HostConfig.NetworkMode: the first network. Raises InvalidInput."""
    return _parse(specs[0])[0] if specs else "default"


def networking(flags: Flags) -> dict[str, Any]:
    """The NetworkingConfig of a create request. Raises InvalidInput for what does not fit together."""
    endpoints: dict[str, dict[str, Any]] = {}
    specs = flags["network"] or ("default",)
    for at, spec in enumerate(specs):
        name, endpoint = _parse(spec)
        if name in endpoints:
            raise InvalidInput(f"network {name!r} is specified multiple times")
        if at == 0:
            _add_flags(name, endpoint, flags)
        if not _user_defined(name) and (endpoint.get("Aliases") or endpoint.get("Links")):
            raise InvalidInput("network-scoped aliases and links are only supported for user-defined networks")
        if endpoint or len(specs) > 1:
            endpoints[name] = endpoint
    kinds = {_user_defined(name) for name in endpoints}
    if len(kinds) > 1:
        raise InvalidInput("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    return {"EndpointsConfig": endpoints} if endpoints else {}


def _user_defined(name: str) -> bool:
    return name not in NOT_USER_DEFINED and not name.startswith("container:")


def _parse(spec: str) -> tuple[str, dict[str, Any]]:
    """ "web", or "name=web,alias=db,ip=10.0.0.2"."""
    if "=" not in spec:
        return spec, {}
    name, endpoint = "", dict[str, Any]()
    for field in next(csv.reader([spec]), []):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            raise InvalidInput(f"invalid field {field!r} in --network", advice="Write fields as key=value")
        if key == "name":
            name = value
        elif key == "alias":
            endpoint.setdefault("Aliases", []).append(value)
        elif key in ADDRESSES:
            endpoint.setdefault("IPAMConfig", {})[ADDRESSES[key]] = value
        elif key == "link-local-ip":
            endpoint.setdefault("IPAMConfig", {}).setdefault("LinkLocalIPs", []).append(value)
        elif key == "mac-address":
            endpoint["MacAddress"] = value
        elif key == "gw-priority":
            endpoint["GwPriority"] = _number(value)
        elif key == "driver-opt":
            option, _, text = value.partition("=")
            endpoint.setdefault("DriverOpts", {})[option] = text
        else:
            raise InvalidInput(f"unexpected key {key!r} in --network")
    if not name:
        raise InvalidInput(f"--network {spec!r} names no network", advice="Add name=NETWORK")
    return name, endpoint


def _number(text: str) -> int:
    if not text.lstrip("-").isdecimal():
        raise InvalidInput(f"invalid gw-priority {text!r}: it is a whole number")
    return int(text)


def _add_flags(name: str, endpoint: dict[str, Any], flags: Flags) -> None:
    """The older flags speak of the first network."""
    addresses = {"IPv4Address": flags["ip"], "IPv6Address": flags["ip6"], "LinkLocalIPs": list(flags["link_local_ip"])}
    given = {key: value for key, value in addresses.items() if value}
    more = {"Aliases": list(flags["network_alias"]), "MacAddress": flags["mac_address"]}
    if _user_defined(name):
        more["Links"] = list(flags["link"])
    for key, value in more.items():
        if value and endpoint.get(key):
            raise InvalidInput(f"conflicting options: {key} is given by --network and by a flag of its own")
        if value:
            endpoint[key] = value
    if given:
        endpoint["IPAMConfig"] = {**endpoint.get("IPAMConfig", {}), **given}
