"""The packet filter as a value: what a change of networks or ports comes to."""

from __future__ import annotations

from typing import Any

from lamina.api.networks import Ipam, Subnet
from lamina.network.model import Network, PortBinding
from lamina.network.ruleset import Ruleset


def _network(bridge: str, subnet: str, **more: Any) -> Network:
    ipam = Ipam(subnets=(Subnet(subnet=subnet),))
    return Network(id=bridge, name=bridge, driver="bridge", created="", bridge=bridge, ipam=ipam, **more)


ONE = _network("br-one", "10.1.0.0/24")
INNER = _network("br-inner", "10.2.0.0/24", internal=True)
WEB = PortBinding(container_port=80, host_port=8080)
LOCAL = PortBinding(container_port=80, host_port=8080, host_ip="127.0.0.1")


def test_all_networks_and_ports_are_in_one_text() -> None:
    text = Ruleset("t").with_network(ONE).with_network(INNER).with_ports("10.1.0.2", [WEB, LOCAL]).replacement()

    for part in (
        'elements = { "br-one", "br-inner" }',
        "elements = { 10.1.0.0/24, 10.2.0.0/24 }",
        "elements = { tcp . 8080 : 10.1.0.2 . 80 }",
        "elements = { 127.0.0.1 . tcp . 8080 : 10.1.0.2 . 80 }",
        "elements = { 10.1.0.2 . tcp . 80 }",
    ):
        assert part in text
    assert text.index("delete table inet t") < text.index("table inet t {")


def test_a_change_says_only_what_differs() -> None:
    before = Ruleset("t").with_network(ONE)

    assert before.changes_to(before.with_network(ONE)) == ""
    assert before.changes_to(before.with_ports("10.1.0.2", [WEB])) == (
        "add element inet t targets { 10.1.0.2 . tcp . 80 }\nadd element inet t any { tcp . 8080 : 10.1.0.2 . 80 }\n"
    )
    after = before.with_network(INNER)
    assert 'add element inet t internal { "br-inner" }' in after.without_network(INNER).changes_to(after)
    assert after.without_network(INNER) == before


def test_a_target_stays_while_a_port_leads_to_it() -> None:
    both = Ruleset("t").with_ports("10.1.0.2", [WEB, LOCAL])

    assert "targets" not in both.changes_to(both.without_ports("10.1.0.2", [WEB]))
    assert "delete element inet t targets" in both.changes_to(both.without_ports("10.1.0.2", [WEB, LOCAL]))


def test_a_port_is_taken_from_its_own_container_only() -> None:
    now = Ruleset("t").with_ports("10.1.0.2", [WEB]).with_ports("10.1.0.3", [WEB])

    assert now.without_ports("10.1.0.2", [WEB]) == now
    assert now.without_ports("10.1.0.3", [WEB]).ports == {}


def test_a_network_that_got_another_subnet_keeps_none_of_the_old() -> None:
    before = Ruleset("t").with_network(ONE)

    changes = before.changes_to(before.with_network(_network("br-one", "10.3.0.0/24")))

    assert "delete element inet t subnets { 10.1.0.0/24 }" in changes
    assert "add element inet t subnets { 10.3.0.0/24 }" in changes
