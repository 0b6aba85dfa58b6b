"""The texts of resolv.conf and hosts."""

from __future__ import annotations

from lamina.network.names.protocol import Forwarding
from lamina.sandbox.etc_files import hosts
from lamina.sandbox.resolv_conf import ResolvConf

HOST = "# made by hand\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch example.org local\noptions ndots:2\n"


def test_local_resolvers_are_left_out_where_they_cannot_be_reached() -> None:
    conf = ResolvConf.parse(HOST)
    assert conf.for_default_bridge() == "nameserver 10.0.0.1\nsearch example.org local\noptions ndots:2\n"
    assert "127.0.0.53" in conf.for_host()


def test_public_resolvers_stand_in_when_none_is_left() -> None:
    conf = ResolvConf.parse("nameserver ::1\nnameserver fe80::1%eth0\n")
    assert conf.for_default_bridge() == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def test_each_part_may_be_replaced() -> None:
    conf = ResolvConf.parse(HOST, servers=["9.9.9.9"], search=["."], options=["rotate"])
    assert conf.for_default_bridge() == "nameserver 9.9.9.9\noptions rotate\n"


def test_in_a_user_network_the_engine_answers_and_asks_the_hosts_servers() -> None:
    conf = ResolvConf.parse("nameserver 127.0.0.53\nsearch example.org\noptions edns0 trust-ad\n")
    lines = conf.for_user_network().splitlines()
    assert lines[:3] == ["nameserver 127.0.0.11", "search example.org", "options edns0 trust-ad ndots:0"]
    assert lines[3].startswith("#")
    assert conf.forwarding() == Forwarding(("127.0.0.53",), inside=False, ndots=False)


def test_in_a_user_network_ndots_stays_as_it_was_set_and_named_servers_are_asked_from_inside() -> None:
    conf = ResolvConf.parse(HOST, servers=["9.9.9.9", "127.0.0.11"], options=["ndots:5"])
    assert "options ndots:5\n" in conf.for_user_network()
    assert conf.forwarding() == Forwarding(("9.9.9.9",), inside=True, ndots=True)
    assert "options ndots:0\n" in ResolvConf.parse("options ndots:x\n").for_user_network()


def test_hosts_hold_the_container_and_what_was_added() -> None:
    text = hosts([("172.17.0.2", "web c0ffee")], extra=[("10.0.0.5", "db"), ("172.17.0.1", "host.internal")])

    assert text.startswith("127.0.0.1\tlocalhost\n")
    assert "10.0.0.5\tdb\n" in text
    assert "172.17.0.1\thost.internal\n" in text
    assert text.endswith("172.17.0.2\tweb c0ffee\n")
