"""The name server of sandboxes in user networks: what it answers, what it forwards, and that it comes back."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
from pathlib import Path

import pytest

import lamina
from lamina.api.networks import NetworkOptions
from lamina.errors import InvalidInput
from lamina.network.model import EndpointOptions
from lamina.network.names.protocol import Forwarding
from lamina.network.namespaces import inside
from lamina.network.networks import Networks
from lamina.store.store import Store
from network.sandboxes import addresses, answered_again, ask, join, keepers
from network.upstream import answer_with, upstream
from support import dns
from support.waiting import eventually

pytestmark = pytest.mark.root

HOSTS = "192.0.2.53"  # the host's own resolver in these tests
TO_HOSTS = Forwarding((HOSTS,))


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_names_of_ones_own_networks(net: Networks, tcp: bool) -> None:
    asker = join(net, "asker", "front")
    join(net, "db", "front", names=("database",))
    join(net, "secret", "back")
    for name in ("db", "DB", "database", "db.front", "dAtAbAsE.FrOnT"):
        answer = ask(asker, name, tcp=tcp)
        assert (answer.code, answer.data) == (dns.NOERROR, addresses(net, "db"))
        assert [(record[0], record[2]) for record in answer.records] == [(name, 600)]
        assert answer.recursion_available
    assert ask(asker, dns.reverse(addresses(net, "db")[0]), dns.PTR, tcp=tcp).data == ["db.front"]
    for name in ("secret", "secret.back", dns.reverse(addresses(net, "secret")[0])):
        answer = ask(asker, name, dns.PTR if name.endswith("arpa") else dns.A, tcp=tcp)
        assert (answer.code, answer.data) == (dns.SERVFAIL, [])


def test_a_known_name_without_such_records_is_not_asked_about_outside(net: Networks) -> None:
    with upstream(HOSTS, answer_with("198.51.100.1")) as outside:
        asker = join(net, "asker", "front", forwarding=TO_HOSTS)
        for type in (dns.AAAA, dns.MX, dns.TXT, dns.HTTPS):
            answer = ask(asker, "asker", type)
            assert (answer.code, answer.data) == (dns.NOERROR, [])
        assert ask(asker, "asker", dns.ANY).data == addresses(net, "asker")
        assert ask(asker, "elsewhere").data == ["198.51.100.1"]
    assert len(outside.by_udp) == 1


def test_a_sandbox_may_listen_on_port_53_itself(net: Networks) -> None:
    asker = join(net, "asker", "front")
    with inside(asker):
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.create_server(("0.0.0.0", 53)):
            udp.bind(("0.0.0.0", 53))
            for tcp in (False, True):
                assert dns.ask("asker", tcp=tcp).data == addresses(net, "asker")
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.sendto(b"for the sandbox's own server", ("127.0.0.1", 53))
            udp.settimeout(10)
            assert udp.recv(100) == b"for the sandbox's own server"


def test_no_connections_are_tracked_for_it(net: Networks) -> None:
    asker = join(net, "asker", "front")
    for tcp in (False, True):
        ask(asker, "asker", tcp=tcp)
    with inside(asker):
        assert Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text() == "0\n"


@pytest.mark.parametrize("option", ["", "edns0", "use-vc", "single-request", "trust-ad"])
def test_the_resolver_of_libc_gets_its_answers(net: Networks, tmp_path: Path, option: str) -> None:
    with upstream(HOSTS, answer_with("198.51.100.1")):
        asker = join(net, "asker", "front", forwarding=TO_HOSTS)
        for number in range(40):
            join(net, f"replica{number}", "front", names=("db",))
        (tmp_path / "resolv.conf").write_text(f"nameserver 127.0.0.11\noptions ndots:0 timeout:10 {option}\n")
        script = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf; getent ahostsv4 db asker.front www.example"
        line = ["nsenter", f"--net={asker}", "unshare", "--mount", "sh", "-c", script]
        shown = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    found = {line.split()[0] for line in shown.splitlines()}
    replicas = {endpoint.ip for endpoint in net.endpoints("front") if "db" in endpoint.names}
    assert found == {*replicas, *addresses(net, "asker"), "198.51.100.1"}
    assert len(replicas) == 40, "more than a datagram holds: the library asks again by TCP"


def test_many_addresses_are_cut_by_udp_and_whole_by_tcp(net: Networks) -> None:
    asker = join(net, "asker", "front")
    for number in range(40):
        net.join(f"replica{number}", "front", EndpointOptions(names=(f"replica{number}", "db")))
    everyone = sorted(endpoint.ip for endpoint in net.endpoints("front") if "db" in endpoint.names)
    short, wide, whole = ask(asker, "db"), ask(asker, "db", edns=1232), ask(asker, "db", tcp=True)
    orders = {tuple(ask(asker, "db", tcp=True).data) for _ in range(5)}
    assert short.truncated
    assert short.size <= 512
    assert not wide.truncated
    assert wide.edns
    assert sorted(map(str, wide.data)) == sorted(map(str, whole.data)) == everyone
    assert len(orders) > 1


def test_names_come_and_go_while_sandboxes_run(net: Networks) -> None:
    asker = join(net, "asker", "front")
    assert ask(asker, "late").code == dns.SERVFAIL
    join(net, "late", "front")
    assert ask(asker, "late").data == addresses(net, "late")
    net.rename(net.joined("late")[0], ("later", "alias"))
    assert ask(asker, "late").code == dns.SERVFAIL
    assert ask(asker, "later").data == ask(asker, "alias").data == addresses(net, "late")
    join(net, "late", "back", names=("later",))
    assert ask(asker, "later.back").code == dns.SERVFAIL
    join(net, "asker", "back")
    assert ask(asker, "later.back").code == dns.NOERROR
    net.leave("late", "front")
    assert ask(asker, "later.front").code == dns.SERVFAIL
    assert ask(asker, "later").data == addresses(net, "late")
    net.leave("late")
    assert ask(asker, "later").code == dns.SERVFAIL


def test_the_default_bridge_pays_nothing(net: Networks, exec_root: Path) -> None:
    namespace = join(net, "plain", "bridge")
    assert not list((exec_root / "names").iterdir())
    with inside(namespace), socket.socket() as client:
        assert client.connect_ex((dns.SERVER, 53)) != 0
    join(net, "plain", "front")
    assert ask(namespace, "plain").data == [endpoint.ip for endpoint in net.endpoints("front")]
    assert ask(namespace, "plain.bridge").code == dns.SERVFAIL


def test_a_server_that_is_killed_is_replaced_and_no_question_is_lost(net: Networks, exec_root: Path) -> None:
    asker = join(net, "asker", "front")
    ask(asker, "asker")
    killed = keepers(exec_root)["lamina-names"]
    os.kill(killed, signal.SIGKILL)
    assert ask(asker, "asker").data == addresses(net, "asker")
    assert keepers(exec_root)["lamina-names"] != killed


def test_the_server_has_no_privileges(net: Networks, exec_root: Path) -> None:
    ask(join(net, "asker", "front"), "asker")
    status = Path(f"/proc/{keepers(exec_root)['lamina-names']}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == fields["Gid"].split() == ["65534"] * 4
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"


def test_a_keeper_that_is_killed_is_replaced(net: Networks, exec_root: Path) -> None:
    asker = join(net, "asker", "front")
    ask(asker, "asker")
    killed = keepers(exec_root)["lamina-keeper"]
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: keepers(exec_root).get("lamina-keeper", killed) != killed)
    assert eventually(lambda: answered_again(asker, "asker")) == addresses(net, "asker")


def test_a_keeper_ends_with_an_engine_that_has_no_use_for_it(net: Networks, exec_root: Path) -> None:
    asker = join(net, "asker", "front")
    assert ask(asker, "asker").code == dns.NOERROR
    started = keepers(exec_root).values()
    net.leave("asker")
    net.close()
    assert not [process for process in started if Path(f"/proc/{process}").exists()], "not even as a zombie"
    assert not list((exec_root / "names").iterdir())


def test_names_outlive_the_engine_and_the_next_one_takes_them_up(net: Networks, store: Store, exec_root: Path) -> None:
    asker = join(net, "asker", "front")
    join(net, "leaver", "front")
    assert ask(asker, "leaver").code == dns.NOERROR
    keeper = keepers(exec_root)["lamina-keeper"]
    net.close()
    assert ask(asker, "asker").code == dns.NOERROR
    again = Networks.open(store, exec_root)
    try:
        assert keepers(exec_root)["lamina-keeper"] == keeper
        again.leave("leaver")
        join(again, "newcomer", "front")
        assert ask(asker, "leaver").code == dns.SERVFAIL
        assert ask(asker, "newcomer").data == addresses(again, "newcomer")
        again.leave("newcomer")
        again.leave("asker")
    finally:
        again.close()
    assert eventually(lambda: not keepers(exec_root))


def test_names_come_back_with_the_engine_when_both_were_killed(net: Networks, store: Store, exec_root: Path) -> None:
    asker = join(net, "asker", "front")
    assert ask(asker, "asker").code == dns.NOERROR
    net.close()
    os.kill(keepers(exec_root)["lamina-keeper"], signal.SIGKILL)
    eventually(lambda: not keepers(exec_root))
    again = Networks.open(store, exec_root)
    try:
        assert ask(asker, "asker").data == addresses(again, "asker")
        again.leave("asker")
    finally:
        again.close()
    assert eventually(lambda: not keepers(exec_root))


def test_names_without_end_are_refused_and_too_long_ones_are_left_out(net: Networks) -> None:
    with pytest.raises(InvalidInput):
        net.join("greedy", "front", EndpointOptions(names=tuple(f"n{number}" for number in range(600))))
    assert not net.joined("greedy")
    asker = join(net, "asker", "front", names=tuple(f"{number:03}{'x' * 250}" for number in range(511)))
    assert ask(asker, "asker").data == addresses(net, "asker")
    long = join(net, "long", "front", names=("y" * 60_000_000,))
    assert ask(long, "long").data == addresses(net, "long")


def test_names_with_addresses_of_ipv6(net: Networks) -> None:
    net.create("six", NetworkOptions(enable_ipv6=True))
    asker = join(net, "asker", "six")
    join(net, "db", "six")
    (endpoint,) = net.joined("db")
    assert ask(asker, "db", dns.AAAA).data == [endpoint.ipv6]
    assert ask(asker, "db").data == [endpoint.ip]
    assert sorted(map(str, ask(asker, "db.six", dns.ANY).data)) == sorted([endpoint.ip, endpoint.ipv6])
    for address in (endpoint.ip, endpoint.ipv6):
        assert ask(asker, dns.reverse(address), dns.PTR).data == ["db.six"]


def test_a_keeper_of_another_version_is_replaced(
    net: Networks, store: Store, exec_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker = join(net, "asker", "front")
    assert ask(asker, "asker").code == dns.NOERROR
    older = keepers(exec_root)["lamina-keeper"]
    net.close()
    monkeypatch.setattr(lamina, "__version__", "newer")
    again = Networks.open(store, exec_root)
    try:
        assert eventually(lambda: answered_again(asker, "asker")) == addresses(again, "asker")
        assert keepers(exec_root)["lamina-keeper"] != older
        again.leave("asker")
    finally:
        again.close()
    assert eventually(lambda: not keepers(exec_root))


def test_a_keeper_without_room_refuses_and_goes_on(net: Networks, exec_root: Path) -> None:
    asker = join(net, "asker", "front")
    assert ask(asker, "asker").code == dns.NOERROR
    keeper = keepers(exec_root)["lamina-keeper"]
    used = set(map(int, os.listdir(f"/proc/{keeper}/fd")))
    free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(keeper, resource.RLIMIT_NOFILE, (free + 1, free + 1))  # room for one; two would be needed
    with pytest.raises(OSError, match="does not take the sandbox"):
        join(net, "late", "front")
    assert ask(asker, "late").data == addresses(net, "late"), "it has a name, and asks in vain"
    assert keepers(exec_root)["lamina-keeper"] == keeper
