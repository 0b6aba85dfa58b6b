"""macvlan and ipvlan networks: interfaces of containers that share a parent interface of the host.

The host's own firewall does not see what passes: containers are on the parent's link like machines of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lamina.errors import InvalidInput
from lamina.linux import interfaces
from lamina.network.container_links import remove_link
from lamina.network.driver_options import MTU
from lamina.network.links import Links
from lamina.network.model import Endpoint, Network

PARENT = "parent"
_VLAN = re.compile(r"(?P<device>[^.]{1,13})\.(?P<id>[1-9][0-9]{0,3})")
_MODES = {
    "macvlan": ("bridge", "private", "vepa", "passthru"),
    "ipvlan": ("l2", "l3", "l3s"),
}
_FLAGS = ("bridge", "private", "vepa")  # of ipvlan, in the kernel's numbers
_HIGHEST_VLAN = 4094


def owned_interface(driver: str, options: Mapping[str, str], identity: str) -> str:
    """Return the interface that is made for a network: a VLAN of its parent, or one that leads nowhere.

    It is "" where the parent is the host's own.
    """
    parent = options.get(PARENT, "")
    if not parent:
        return f"{'di' if driver == 'ipvlan' else 'dm'}-{identity[:12]}"
    return parent if _VLAN.fullmatch(parent) else ""


def check_options(driver: str, options: Mapping[str, str]) -> None:
    """Raise InvalidInput for a mode, a flag or a parent that cannot be."""
    modes, mode = _MODES[driver], options.get(f"{driver}_mode", "")
    if mode and mode not in modes:
        message = f"requested {driver} mode '{mode}' is not valid, '{modes[0]}' mode is the {driver} driver default"
        raise InvalidInput(message)
    flag = options.get("ipvlan_flag", "")
    if driver == "ipvlan" and flag and flag not in _FLAGS:
        raise InvalidInput(f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default")
    parent = options.get(PARENT, "")
    if parent == "lo":
        raise InvalidInput(f"loopback interface is not a valid {driver} parent link")
    if len(parent) > 15 or re.search(r"[\s/]", parent):
        raise InvalidInput(f"invalid parent interface {parent!r}: at most 15 characters, no blank or slash")


def routed_on_link(network: Network) -> bool:
    """Return whether default routes of its containers lead to the link itself (ipvlan in its modes of layer 3)."""
    return network.driver == "ipvlan" and _mode(network) != "l2" and not network.internal


def _mode(network: Network) -> str:
    return network.options.get(f"{network.driver}_mode") or _MODES[network.driver][0]


class Vlans:
    """The driver of macvlan and ipvlan networks."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def make(self, network: Network) -> None:
        parent = network.options.get(PARENT) or network.bridge
        if self._links.index(parent) is None:
            self._make_parent(network, parent)

    def _make_parent(self, network: Network, parent: str) -> None:
        vlan = _VLAN.fullmatch(parent)
        if not network.options.get(PARENT):
            self._links.add_lone(parent)
        elif vlan is None or int(vlan["id"]) > _HIGHEST_VLAN:
            raise InvalidInput(
                f"invalid parent interface {parent}: it does not exist, and is no VLAN of one",
                advice="Name an interface of the host, or a VLAN of one such as eth0.10",
            )
        elif self._links.index(vlan["device"]) is None:
            raise InvalidInput(f"failed to find master interface {vlan['device']} on the Docker host")
        else:
            self._links.add_child("vlan", vlan["device"], parent, interfaces.vlan(int(vlan["id"])))

    def remove(self, network: Network) -> None:
        if network.bridge and not network.borrowed:
            self._links.remove(network.bridge)

    def attach(self, network: Network, endpoint: Endpoint, namespace: Path) -> None:
        parent = network.options.get(PARENT) or network.bridge
        if network.driver == "macvlan":
            mac, details = endpoint.mac, interfaces.macvlan(_mode(network))
        else:
            flags = _FLAGS.index(network.options.get("ipvlan_flag") or "bridge")
            mac, details = "", interfaces.ipvlan(_MODES["ipvlan"].index(_mode(network)), flags)
        mtu = int(network.options.get(MTU) or 0)
        self._links.add_child(network.driver, parent, endpoint.interface, details, namespace, mac=mac, mtu=mtu)

    def detach(self, endpoint: Endpoint, namespace: Path) -> None:
        remove_link(namespace, endpoint.interface)
