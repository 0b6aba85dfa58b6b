"""The packet filter as a value: what a change of networks or ports comes to."""

from __future__ import annotations

from typing import Any

import msgspec

from lamina.api.networks import Ipam, Subnet
from lamina.network.model import Network, PortBinding
from lamina.network.ruleset import Ruleset


def _network(bridge: str, subnet: str, **more: Any) -> Network:
    ipam = Ipam(subnets=(Subnet(subnet=subnet),))
    return Network(id=bridge, name=bridge, driver="bridge", created="", bridge=bridge, ipam=ipam, **more)


ONE = _network("br-one", "10.1.0.0/24")
INNER = _network("br-inner", "10.2.0.0/24", internal=True)
WEB = PortBinding(container_port=80, host_port=8080, container_ip="10.1.0.2")
LOCAL = PortBinding(container_port=80, host_port=8080, host_ip="127.0.0.1", container_ip="10.1.0.2")


def test_all_networks_and_ports_are_in_one_text() -> None:
    text = Ruleset("t").with_network(ONE).with_network(INNER).with_ports([WEB, LOCAL]).replacement()

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
    assert before.changes_to(before.with_ports([WEB])) == (
        "add element inet t targets4 { 10.1.0.2 . tcp . 80 }\nadd element inet t any4 { tcp . 8080 : 10.1.0.2 . 80 }\n"
    )
    after = before.with_network(INNER)
    assert 'add element inet t internal { "br-inner" }' in after.without_network(INNER).changes_to(after)
    assert after.without_network(INNER) == before


def test_a_target_stays_while_a_port_leads_to_it() -> None:
    both = Ruleset("t").with_ports([WEB, LOCAL])

    assert "targets4" not in both.changes_to(both.without_ports([WEB]))
    assert "delete element inet t targets4" in both.changes_to(both.without_ports([WEB, LOCAL]))


def test_a_port_is_taken_from_its_own_container_only() -> None:
    others = msgspec.structs.replace(WEB, container_ip="10.1.0.3")
    now = Ruleset("t").with_ports([WEB]).with_ports([others])

    assert now.without_ports([WEB]) == now
    assert now.without_ports([others]).ports == {}


def test_a_network_that_got_another_subnet_keeps_none_of_the_old() -> None:
    before = Ruleset("t").with_network(ONE)

    changes = before.changes_to(before.with_network(_network("br-one", "10.3.0.0/24")))

    assert "delete element inet t closed4 { 10.1.0.0/24 }" in changes
    assert "add element inet t closed4 { 10.3.0.0/24 }" in changes


def test_ipv6_has_sets_of_its_own() -> None:
    web = PortBinding(container_port=80, host_port=8080, host_ip="::", container_ip="fd00::2")
    local = PortBinding(container_port=80, host_port=8080, host_ip="2001:db8::1", container_ip="fd00::2")
    both = _network("br-one", "10.1.0.0/24", enable_ipv6=True)
    subnets = (*both.ipam.subnets, Subnet(subnet="fd00::/64"))
    both = msgspec.structs.replace(both, ipam=Ipam(subnets=subnets))

    elements = Ruleset("t").with_network(both).with_ports([web, local]).elements()

    assert list(elements["served"]) == ['"br-one" . ipv4', '"br-one" . ipv6']
    assert list(elements["closed6"]) == list(elements["masqueraded6"]) == ["fd00::/64"]
    assert elements["any6"] == {"tcp . 8080": " : fd00::2 . 80"}
    assert elements["bound6"] == {"2001:db8::1 . tcp . 8080": " : fd00::2 . 80"}
    assert list(elements["targets6"]) == ["fd00::2 . tcp . 80"]


def test_what_the_proxy_carries_is_not_translated() -> None:
    carried = PortBinding(container_port=80, host_port=8080, host_ip="::", container_ip="10.1.0.2")

    assert Ruleset("t").with_ports([carried]) == Ruleset("t")


def test_gateway_modes_open_a_network_for_others() -> None:
    options = {"com.docker.network.bridge.gateway_mode_ipv4": "routed"}
    port = PortBinding(container_port=80, host_ip="0.0.0.0", container_ip="10.1.0.2")

    elements = (
        Ruleset("t").with_network(_network("br-one", "10.1.0.0/24", options=options)).with_ports([port]).elements()
    )

    assert list(elements["routed"]) == ['"br-one" . ipv4']
    assert list(elements["opened4"]) == ["10.1.0.2 . tcp . 80"]
    assert {} == elements["closed4"] == elements["masqueraded4"] == elements["targets4"]
