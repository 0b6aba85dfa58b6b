"""Which names an asker knows, and what they mean to it."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from lamina.network.names.table import Addresses, NameTable, Place, address_of
from support import dns


def place(sandbox: str, network: str, number: int, *names: str, ipv6: str = "", internal: bool = False) -> Place:
    return Place(
        id=f"{sandbox}@{network}",
        sandbox=sandbox,
        network=network,
        network_id=f"id-{network}",
        ipv4=f"10.{len(network)}.0.{number}" if number else "",
        ipv6=ipv6,
        names=(sandbox, *names),
        internal=internal,
    )


def table(*places: Place) -> NameTable:
    filled = NameTable()
    for each in places:
        filled.put(each)
    return filled


def known(filled: NameTable, sandbox: str, name: str) -> list[str] | None:
    """The IPv4 addresses of a name, None where the asker does not know it."""
    addresses = filled.addresses(sandbox, name)
    return None if addresses is None else sorted(".".join(map(str, packed)) for packed in addresses.ipv4)


def test_names_aliases_and_names_with_their_network() -> None:
    filled = table(place("web", "front", 2), place("Db", "front", 3, "db.main", "0123456789ab"))
    for name in ("db", "db.main", "0123456789ab", "db.front", "db.main.front"):
        assert known(filled, "web", name) == ["10.5.0.3"], name
    for name in ("", "front", "db.back", "db.front.front", "main", "x"):
        assert known(filled, "web", name) is None, name


def test_an_alias_of_several_has_all_addresses() -> None:
    filled = table(*(place(f"db{n}", "front", n, "db") for n in (2, 3, 4)))
    assert known(filled, "db2", "db") == ["10.5.0.2", "10.5.0.3", "10.5.0.4"]
    filled.drop("db3@front")
    assert known(filled, "db2", "db") == ["10.5.0.2", "10.5.0.4"]


def test_names_of_other_networks_are_not_known() -> None:
    filled = table(
        place("web", "front", 2), place("db", "back", 3), place("both", "front", 4), place("both", "back", 5)
    )
    assert known(filled, "web", "db") is None
    assert known(filled, "web", "db.back") is None
    assert known(filled, "web", "both.back") is None
    assert known(filled, "both", "db") == ["10.4.0.3"]
    assert filled.name_of("web", dns.reverse("10.4.0.3")) is None
    assert known(filled, "nobody", "web") is None


def test_the_first_network_that_knows_a_name_answers() -> None:
    filled = table(
        place("asker", "aaa", 2, internal=True),
        place("asker", "bbbb", 3),
        place("db", "aaa", 4, internal=True),
        place("db", "bbbb", 5),
    )
    assert known(filled, "asker", "db") == ["10.4.0.5"], "networks that lead outside come first"
    assert known(filled, "asker", "db.aaa") == ["10.3.0.4"]


def test_a_name_with_dots_may_be_a_hosts_or_a_host_and_its_network() -> None:
    filled = table(place("a", "b.c", 2), place("a.b", "c", 3), place("asker", "b.c", 4), place("asker", "c", 5))
    assert known(filled, "asker", "a.b.c") == ["10.1.0.3"], "the longest host's name is tried first"
    assert known(filled, "asker", "a") == ["10.3.0.2"]


def test_links_are_the_askers_own() -> None:
    asker = dataclasses.replace(place("asker", "front", 2), links=(("Cache", "redis"), ("db", "other")))
    filled = table(asker, place("redis", "front", 3), place("db", "front", 4), place("guest", "front", 5))
    assert known(filled, "asker", "cache") == ["10.5.0.3"]
    assert known(filled, "asker", "cache.front") == ["10.5.0.3"]
    assert known(filled, "guest", "cache") is None
    assert known(filled, "asker", "db") is None, "the link to a container that is not there hides the name"
    assert known(filled, "guest", "db") == ["10.5.0.4"]


def test_addresses_of_both_families_and_of_one() -> None:
    filled = table(place("six", "front", 0, ipv6="fd00::6"), place("both", "front", 2, ipv6="fd00::2"))
    assert filled.addresses("six", "six") == Addresses((), (bytes.fromhex("fd" + "00" * 14 + "06"),))
    assert filled.name_of("six", dns.reverse("fd00::2")) == "both.front"
    assert filled.name_of("six", dns.reverse("10.5.0.2")) == "both.front"


def test_a_renamed_place_has_only_its_new_names() -> None:
    filled = table(place("web", "front", 2), place("old", "front", 3))
    filled.put(dataclasses.replace(place("old", "front", 3), names=("new",)))
    assert known(filled, "web", "old") is None
    assert known(filled, "web", "new") == ["10.5.0.3"]
    assert filled.name_of("web", dns.reverse("10.5.0.3")) == "new.front"


@given(st.ip_addresses())
def test_an_address_is_read_from_the_name_that_is_asked_for_it(address: object) -> None:
    assert address_of(dns.reverse(str(address))) == str(address)


@given(st.text(st.sampled_from("0123456789abcdef.-xip"), max_size=80), st.sampled_from([".in-addr.arpa", ".ip6.arpa"]))
def test_other_names_hold_no_address(text: str, suffix: str) -> None:
    found = address_of(text + suffix)
    assert found == "" or dns.reverse(found) == text + suffix or "." not in text


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.sampled_from(["x", "yy"]), st.integers(2, 4))))
def test_what_was_dropped_leaves_nothing(steps: list[tuple[bool, str, str, int]]) -> None:
    filled, places = NameTable(), {}
    for adding, sandbox, network, number in steps:
        each = place(sandbox, network, number, "all")
        if adding:
            filled.put(each)
            places[each.id] = each
        else:
            filled.drop(each.id)
            places.pop(each.id, None)
    fresh = table(*places.values())
    for sandbox in "abc":
        for name in ("a", "b", "c", "all", "all.x", "all.yy"):
            assert known(filled, sandbox, name) == known(fresh, sandbox, name)
    for each in list(places.values()):
        filled.drop(each.id)
    assert not any(vars(filled).values())
