"""Living beside other firewalls: where iptables forwards nothing by default, our bridges need a word in its chain.

A packet must be accepted by every table; Docker and ufw set the policy of iptables' FORWARD chain to drop. There (and
only there) two plain rules for each bridge let packets pass on to our own table, which decides.
"""

from __future__ import annotations

import re

from lamina.errors import LaminaError
from lamina.network.nftables import Nft

_CHAINS = ("DOCKER-USER", "FORWARD")  # Docker keeps the first one for others' rules
_RULE = re.compile(r'(?:iifname|oifname) "(?P<bridge>[^"]+)" .*accept.* # handle (?P<handle>\d+)')


def admit(nft: Nft, bridge: str) -> None:
    """Lets iptables pass what goes through `bridge`, where it would drop it; rules that are there stay."""
    if "policy drop" not in _listed(nft, "FORWARD"):
        return
    chain = next((name for name in _CHAINS if _listed(nft, name)), "FORWARD")
    if not _handles(nft, chain, bridge):
        for match in ("iifname", "oifname"):
            nft.run(f'insert rule ip filter {chain} {match} "{bridge}" counter accept\n')


def dismiss(nft: Nft, bridge: str) -> None:
    """Takes the rules of `admit` away; none there is fine."""
    for chain in _CHAINS:
        for handle in _handles(nft, chain, bridge):
            nft.run(f"delete rule ip filter {chain} handle {handle}\n")


def _handles(nft: Nft, chain: str, bridge: str) -> list[str]:
    found = (_RULE.search(line) for line in _listed(nft, chain).splitlines())
    return [rule["handle"] for rule in found if rule and rule["bridge"] == bridge]


def _listed(nft: Nft, chain: str) -> str:
    """The chain as text; "" where there is none."""
    try:
        return nft.run(f"list chain ip filter {chain}\n")
    except LaminaError:
        return ""
