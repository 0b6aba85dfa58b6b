"""The texts of resolv.conf and hosts, and the choice of addresses."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.api.networks import Subnet
from lamina.errors import Conflict, InvalidInput
from lamina.network.addresses import choose_address, complete, free_subnet, mac_of, parse_subnet
from lamina.sandbox.etc_files import hosts, resolv_conf

HOST = "# made by hand\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch example.org local\noptions ndots:2\n"


def test_local_resolvers_are_left_out() -> None:
    assert resolv_conf(HOST) == "nameserver 10.0.0.1\nsearch example.org local\noptions ndots:2\n"
    assert "127.0.0.53" in resolv_conf(HOST, keep_local=True)


def test_public_resolvers_stand_in_when_none_is_left() -> None:
    assert resolv_conf("nameserver ::1\nnameserver fe80::1%eth0\n") == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def test_each_part_may_be_replaced() -> None:
    text = resolv_conf(HOST, servers=["9.9.9.9"], search=["."], options=["rotate"])
    assert text == "nameserver 9.9.9.9\noptions rotate\n"


def test_hosts_hold_the_container_and_what_was_added() -> None:
    text = hosts(
        [("172.17.0.2", "web c0ffee")], extra=["db:10.0.0.5", "host.internal:host-gateway"], gateway="172.17.0.1"
    )

    assert text.startswith("127.0.0.1\tlocalhost\n")
    assert "10.0.0.5\tdb\n" in text
    assert "172.17.0.1\thost.internal\n" in text
    assert text.endswith("172.17.0.2\tweb c0ffee\n")


@given(st.integers(0, 40))
def test_free_subnets_never_overlap(count: int) -> None:
    taken: list[IPv4Network] = []
    for _ in range(count):
        try:
            taken.append(free_subnet([("10.0.0.0/16", 20), ("10.1.0.0/20", 24)], taken))
        except Conflict:
            assert len(taken) == 32
            return
    assert all(not one.overlaps(other) for i, one in enumerate(taken) for other in taken[:i])


@given(st.lists(st.sampled_from([f"10.0.0.{n}" for n in range(1, 7)]), unique=True), st.integers(1, 6))
def test_an_address_is_free_and_inside(used: list[str], last: int) -> None:
    subnet = complete(Subnet(subnet="10.0.0.0/29"), [])
    try:
        chosen = choose_address(subnet, set(used), f"10.0.0.{last}")
    except Conflict:
        assert set(used) | {"10.0.0.1"} == {f"10.0.0.{n}" for n in range(1, 7)}
        return
    assert chosen not in used
    assert chosen != subnet.gateway
    assert parse_subnet(f"{chosen}/32").subnet_of(parse_subnet(subnet.subnet))


def test_a_range_limits_what_is_given_out() -> None:
    subnet = complete(Subnet(subnet="10.0.0.0/24", ip_range="10.0.0.128/25", gateway="10.0.0.1"), [])

    assert choose_address(subnet, set()) == "10.0.0.128"
    with pytest.raises(InvalidInput):
        complete(Subnet(subnet="10.0.0.0/24", ip_range="10.1.0.0/25"), [])
    with pytest.raises(InvalidInput):
        parse_subnet("10.0.0.0/33")


def test_the_mac_follows_the_address() -> None:
    assert mac_of("172.17.0.2") == "02:42:ac:11:00:02"
