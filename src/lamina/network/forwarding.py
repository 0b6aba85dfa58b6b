"""Routing between the host's interfaces, which every container engine must allow. Off is the kernel's default."""

from __future__ import annotations

from pathlib import Path

_SETTINGS = Path("/proc/sys/net")
_SWITCHES = {4: ("ipv4/ip_forward",), 6: ("ipv6/conf/default/forwarding", "ipv6/conf/all/forwarding")}


def allow_forwarding(version: int) -> None:
    """Let the host route packets of an IP version between its interfaces.

    A router ignores router advertisements (RFC 4861, 6.2.7), so interfaces that take them are told to go on: the host
    may have its own way out from there.
    """
    for switch in _SWITCHES[version]:
        if (_SETTINGS / switch).read_text().strip() != "1":
            if version == 6:
                _keep_listening_to_routers()
            (_SETTINGS / switch).write_text("1")


def _keep_listening_to_routers() -> None:
    for setting in (_SETTINGS / "ipv6/conf").glob("*/accept_ra"):
        if setting.parent.name not in ("all", "default") and setting.read_text().strip() == "1":
            setting.write_text("2")  # also while forwarding: Linux, networking/ip-sysctl
