"""The texts of resolv.conf and hosts."""

from __future__ import annotations

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
