"""A program's capabilities in a tree with mapped owners, as the kernel writes them (linux/capability.h)."""

from __future__ import annotations

from lamina.layers.capabilities import host_capabilities, inside_capabilities
from lamina.linux.user_namespaces import IdMap, IdRange

IDS = IdMap((IdRange(0, 300_000, 10),), (IdRange(0, 300_000, 10),))
NAME = "security.capability"
INSIDE = bytes.fromhex("0100000200200000000000000000000000000000")  # net_raw, effective
HOST = bytes.fromhex("0100000300200000000000000000000000000000e0930400")  # of the root that is 300000


def test_they_belong_to_the_root_of_the_map() -> None:
    assert host_capabilities(NAME, INSIDE, IDS) == HOST
    assert inside_capabilities(NAME, HOST, IDS) == INSIDE


def test_others_stay_as_they_are() -> None:
    other = HOST[:-4] + (7).to_bytes(4, "little")
    assert inside_capabilities(NAME, other, IDS) == other
    assert inside_capabilities(NAME, INSIDE, IDS) == INSIDE
    assert host_capabilities(NAME, HOST, IDS) == HOST
    for change in (host_capabilities, inside_capabilities):
        assert change("user.note", INSIDE, IDS) == INSIDE
        assert change(NAME, b"short", IDS) == b"short"
