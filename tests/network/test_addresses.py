"""The choice of subnets and addresses, IPv4 and IPv6, at the limits of their ranges."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.api.networks import Subnet
from lamina.errors import Forbidden, InvalidInput, Unavailable
from lamina.network.addresses import IPNetwork, choose_address, mac_of, parse_subnet, usage
from lamina.network.subnets import check_subnets, complete, free_subnet, local_pool, whole_pools

POOLS = (("10.0.0.0/16", 20), ("10.1.0.0/20", 24), ("fd00:1::/60", 64))


@given(st.integers(0, 40), st.sampled_from([4, 6]))
def test_free_subnets_never_overlap(count: int, version: int) -> None:
    taken: list[IPNetwork] = []
    for _ in range(count):
        try:
            taken.append(free_subnet(POOLS, taken, version))
        except InvalidInput:
            assert len(taken) == {4: 32, 6: 16}[version]
            return
    assert len({subnet.network_address for subnet in taken}) == count
    assert all(subnet.version == version for subnet in taken)


def test_a_prefix_length_may_be_asked_for() -> None:
    assert str(free_subnet(POOLS, [], 4, 24)) == "10.0.0.0/24"
    assert str(free_subnet(POOLS, [ip_network("fd00:1::/64")], 6, 80)) == "fd00:1:0:1::/80"


@pytest.mark.parametrize(("subnet", "hosts"), [("10.0.0.0/29", 6), ("10.0.0.0/31", 2), ("fd00::/125", 7)])
def test_every_address_of_a_small_subnet_is_given_out_once(subnet: str, hosts: int) -> None:
    network = complete(Subnet(subnet=subnet), [])
    used: set[str] = set()
    for _ in range(hosts - 1):
        used.add(choose_address(network, used))
    assert len(used | {network.gateway}) == hosts
    assert all(ip_address(address) in ip_network(subnet) for address in used)
    with pytest.raises(Unavailable):
        choose_address(network, used)


@given(st.sets(st.integers(0, 2**64 - 1), max_size=5), st.integers(0, 2**64 - 1))
def test_an_address_of_a_range_of_64_bits_is_free(used: set[int], last: int) -> None:
    first = int(ip_address("fd00::"))
    network = complete(Subnet(subnet="fd00::/64"), [])
    texts = {str(ip_address(first + number)) for number in used}

    chosen = choose_address(network, texts, str(ip_address(first + last)))

    assert chosen not in texts | {network.gateway, "fd00::"}
    assert ip_address(chosen) in ip_network("fd00::/64")


def test_the_last_address_of_a_range_of_64_bits_is_followed_by_the_first() -> None:
    network = complete(Subnet(subnet="fd00::/64"), [])

    assert choose_address(network, set(), "fd00::ffff:ffff:ffff:fffe") == "fd00::ffff:ffff:ffff:ffff"
    assert choose_address(network, set(), "fd00::ffff:ffff:ffff:ffff") == "fd00::2"


def test_a_range_limits_what_is_given_out() -> None:
    for subnet, span, gateway, first in (
        ("10.0.0.0/24", "10.0.0.128/25", "10.0.0.1", "10.0.0.128"),
        ("fd00::/64", "fd00::8000:0:0:0/65", "fd00::1", "fd00::8000:0:0:0"),
    ):
        network = complete(Subnet(subnet=subnet, ip_range=span, gateway=gateway), [])
        assert choose_address(network, set()) == first
    with pytest.raises(InvalidInput):
        parse_subnet("10.0.0.0/33")


def test_an_address_that_was_asked_for_is_found_in_any_spelling() -> None:
    network = complete(Subnet(subnet="fd00::/64"), [])

    assert choose_address(network, set(), requested="FD00:0:0::00a") == "fd00::a"
    with pytest.raises(Forbidden, match="already in use"):
        choose_address(network, {"fd00::a"}, requested="fd00:0::a")
    with pytest.raises(InvalidInput, match="no configured subnet contains IP address fd01::a"):
        choose_address(network, set(), requested="fd01::a")


def test_pools_stand_in_for_a_family_that_has_none() -> None:
    base, size = local_pool("engine")

    assert (ip_network(base).prefixlen, size) == (48, 64)
    assert ip_network(base)[0] in ip_network("fd00::/8")
    assert local_pool("engine") != local_pool("another")
    assert whole_pools([("10.0.0.0/8", 24)], "engine") == (("10.0.0.0/8", 24), (base, size))
    assert ("172.17.0.0/16", 16) in whole_pools([("fd01::/48", 64)], "engine")


@pytest.mark.parametrize(
    ("subnet", "sentence"),
    [
        (Subnet(subnet="10.77.0.5/24"), "invalid subnet 10.77.0.5/24: it should be 10.77.0.0/24"),
        (Subnet(subnet="fd00::1/64"), "invalid subnet fd00::1/64: it should be fd00::/64"),
        (Subnet(subnet="10.0.0.0/24", ip_range="fd00::/65"), "parent subnet is an IPv4 block"),
        (
            Subnet(subnet="10.0.0.0/24", ip_range="10.0.0.0/16"),
            "CIDR block is bigger than its parent subnet",
        ),
        (
            Subnet(subnet="10.0.0.0/24", ip_range="10.0.0.1/25"),
            "10.0.0.1/25: it should be 10.0.0.0/25",
        ),
        (Subnet(subnet="10.0.0.0/24", ip_range="10.0.1.0/25"), "parent subnet 10.0.0.0/24 doesn't contain ip-range"),
        (
            Subnet(subnet="10.0.0.0/24", gateway="10.0.1.1"),
            "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24",
        ),
        (
            Subnet(subnet="10.0.0.0/24", reserved={"r": "fd00::1"}),
            "auxiliary address r: parent subnet is an IPv4",
        ),
        (Subnet(subnet="fe80::/64"), "clashes with the Link-Local prefix 'fe80::/64'"),
        (Subnet(subnet="ff00::/64"), "multicast subnet"),
    ],
)
def test_a_request_that_does_not_fit_together_is_refused(subnet: Subnet, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_subnets([subnet], ipv6=True)
    assert refusal.value.message.startswith("invalid network config:\n")
    assert sentence in refusal.value.message


def test_what_is_said_about_ipv6_counts_only_where_there_is_ipv6() -> None:
    check_subnets([Subnet(subnet="fd00::1/64")], ipv6=False)


def test_the_mac_follows_the_address() -> None:
    assert mac_of("172.17.0.2") == "02:42:ac:11:00:02"
    assert mac_of("fd00::2") == mac_of("fd00:0::2") != mac_of("fd00::3")


@pytest.mark.parametrize(
    ("subnet", "used", "numbers"),
    [
        (Subnet(subnet="10.0.0.0/24", gateway="10.0.0.1"), ["10.0.0.2"], (4, 252)),
        (Subnet(subnet="10.0.0.0/24", gateway="10.0.0.1", ip_range="10.0.0.128/25"), ["10.0.0.200"], (4, 126)),
        (Subnet(subnet="10.0.0.0/31", gateway="10.0.0.0"), ["10.0.0.1"], (2, 0)),
        (Subnet(subnet="fd00::/64", gateway="fd00::1", reserved={"r": "fd00::9"}), ["fd00::2"], (4, (1 << 64) - 4)),
        (Subnet(subnet="fd00::/48", gateway="fd00::1"), [], (2, (1 << 64) - 1)),
    ],
)
def test_the_use_of_a_subnet_is_counted(subnet: Subnet, used: list[str], numbers: tuple[int, int]) -> None:
    assert usage(subnet, used) == numbers
