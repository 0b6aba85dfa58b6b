"""Networks with both families of addresses, as people use them, by every client."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from support.clients import Client
from support.daemons import Daemon
from support.engines import LAMINA
from support.waiting import eventually

pytestmark = pytest.mark.root

_SERVER = ("busybox", "sh", "-c", "mkdir /www && echo served > /www/index.html && exec httpd -f -p 80 -h /www")


def _place(client: Client, container: str, network: str) -> dict[str, Any]:
    document = json.loads(client.text("inspect", container))[0]
    place: dict[str, Any] = document["NetworkSettings"]["Networks"][network]
    return place


def _ports(client: Client, container: str) -> list[str]:
    return sorted(client.text("port", container).splitlines())


@contextmanager
def _network(client: Client, name: str, *options: str) -> Iterator[str]:
    id = client.text("network", "create", *options, name)
    try:
        yield id
    finally:
        for container in client.text("ps", "-aq").split():
            client("rm", "-f", container)
        client("network", "rm", name)


def _served(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=2) as answer:
            return bool(answer.read() == b"served\n")
    except OSError:
        return False


def test_a_network_of_both_families(client: Client) -> None:
    subnets = ("--subnet", "10.213.44.0/24", "--subnet", "fd44:213::/64", "--gateway", "fd44:213::fe")
    with _network(client, "dual", "--ipv6", *subnets):
        addresses = ("--ip", "10.213.44.9", "--ip6", "fd44:213::9")
        client("run", "-d", "--name", "web", "--network", "dual", *addresses, "-p", "80", *_SERVER)

        place = _place(client, "web", "dual")
        assert (place["IPAddress"], place["GlobalIPv6Address"]) == ("10.213.44.9", "fd44:213::9")
        assert (place["Gateway"], place["IPv6Gateway"]) == ("10.213.44.1", "fd44:213::fe")
        assert place["GlobalIPv6PrefixLen"] == 64
        document = json.loads(client.text("network", "inspect", "dual"))[0]
        (entry,) = document["Containers"].values()
        assert (entry["IPv4Address"], entry["IPv6Address"]) == ("10.213.44.9/24", "fd44:213::9/64")
        assert document["EnableIPv6"] is True
        hosts = client.text("exec", "web", "cat", "/etc/hosts")
        assert "10.213.44.9\t" in hosts
        assert "fd44:213::9\t" in hosts
        (port,) = {int(line.rpartition(":")[2]) for line in _ports(client, "web")}
        for host in ("127.0.0.1", "[::1]", "[fd44:213::fe]"):
            assert eventually(partial(_served, host, port))


def test_a_network_of_ipv6_alone_has_names(client: Client, daemon: Daemon) -> None:
    maker = Client(tuple(LAMINA), daemon.host, daemon.folder)  # older clients have no such flag
    with _network(maker, "six", "--ipv4=false", "--ipv6"):
        client("run", "-d", "--name", "web", "--network", "six", *_SERVER)
        client("run", "-d", "--name", "app", "--network", "six", "busybox", "sleep", "1000")

        place = _place(client, "web", "six")
        assert place["IPAddress"] == ""
        assert place["GlobalIPv6Address"] in client("exec", "app", "nslookup", "web", check=False).stdout.decode()
        ask = ("exec", "app", "wget", "-qO-", f"http://[{place['GlobalIPv6Address']}]/")
        assert eventually(lambda: client(*ask, check=False).stdout == b"served\n")


def test_a_network_named_by_its_id(client: Client) -> None:
    """As scripts do: docker run --network $(docker network create n)."""
    with _network(client, "byid") as id:
        client("run", "-d", "--name", "web", "--network", id, *_SERVER)

        assert list(json.loads(client.text("inspect", "web"))[0]["NetworkSettings"]["Networks"]) == ["byid"]
        client("network", "disconnect", "byid", "web")


def test_published_ports_are_listed_as_before_when_the_daemon_was_killed(client: Client, daemon: Daemon) -> None:
    with _network(client, "dual", "--ipv6", "--subnet", "fd44:213::/64"):
        options = ("--network", "dual", "-p", "80", "-p", "127.0.0.1::81/udp", "-p", "[::1]::82")
        client("run", "-d", "--name", "web", *options, *_SERVER)
        before, place = _ports(client, "web"), _place(client, "web", "dual")
        assert len(before) == 4

        daemon.kill()
        daemon.start()

        assert _ports(client, "web") == before
        assert _place(client, "web", "dual") == place
        port = next(int(line.rpartition(":")[2]) for line in before if line.startswith("80/tcp"))
        for host in ("127.0.0.1", "[::1]"):
            assert eventually(partial(_served, host, port))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("network", "create", "--subnet", "10.77.0.5/24", "bad"), "invalid subnet 10.77.0.5/24: it should be"),
        (("network", "create", "-o", "com.docker.network.driver.mtu=x", "bad"), "com.docker.network.driver.mtu"),
        (("network", "create", "bridge"), "operation is not permitted on predefined bridge network"),
        (("network", "rm", "host"), "host is a pre-defined network and cannot be removed"),
        (("network", "create", "-d", "macvlan", "-o", "parent=gone0", "bad"), "gone0"),
        (("run", "--rm", "--mac-address", "zz", "busybox", "true"), "zz"),
    ],
)
def test_what_cannot_be_is_refused_in_words(client: Client, words: tuple[str, ...], sentence: str) -> None:
    done = client(*words, check=False)

    assert done.returncode != 0
    assert sentence in done.stderr.decode()
    assert "bad" not in client.text("network", "ls", "--format", "{{.Name}}").split()
