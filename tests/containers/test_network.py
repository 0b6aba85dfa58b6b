"""Containers in networks: addresses, published ports, shared namespaces, the three files in /etc."""

from __future__ import annotations

import socket
import time

import pytest

from lamina.api.containers import Config, EndpointConfig, EndpointIpam, HostConfig, NetworkingConfig, PortHost
from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.containers.ports import parse, wanted
from lamina.errors import Conflict, InvalidInput
from support.waiting import eventually

from .conftest import Rooms


def test_ports_in_dockers_words() -> None:
    assert parse("80") == (80, "tcp")
    assert parse("53/UDP") == (53, "udp")
    host = HostConfig(
        port_bindings={"80/tcp": (PortHost("127.0.0.1", "8080"), PortHost("", "9000-9005"))}, publish_all_ports=True
    )
    found = wanted(Config(exposed_ports={"80/tcp": {}, "81": {}}), host)
    assert [(b.container_port, b.host_ip, b.host_port, b.host_port_end) for b in found] == [
        (80, "127.0.0.1", 8080, 0),
        (80, "", 9000, 9005),
        (81, "", 0, 0),
    ]
    (any_port,) = wanted(Config(), HostConfig(port_bindings={"80/tcp": ()}))
    assert (any_port.host_ip, any_port.host_port) == ("", 0)
    for bad in ("x", "0", "70000", "1/what"):
        with pytest.raises(InvalidInput):
            parse(bad)
    with pytest.raises(InvalidInput):
        wanted(Config(), HostConfig(port_bindings={"80": (PortHost("", "9-1"),)}))


def served(port: int) -> bytes:
    """What a server on this machine's loopback sends; tries until it is up."""
    deadline = time.monotonic() + 15
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                if data := connection.recv(100):
                    return data
        except OSError:
            pass
        assert time.monotonic() < deadline, "nothing is served"
        time.sleep(0.02)


@pytest.mark.root
def test_a_published_port_is_reached(rooms: Rooms) -> None:
    host = HostConfig(port_bindings={"7000/tcp": (PortHost("127.0.0.1", ""),)})
    id = rooms.run("while :; do echo hello | nc -l -p 7000; done", host=host, exposed_ports={"7000/tcp": {}})
    port = _host_port(rooms, id)
    assert served(port) == b"hello\n"
    for filters, listed in (
        ({"publish": [str(port)]}, True),
        ({"publish": [f"{port - 1}-{port}/tcp"]}, True),
        ({"publish": [f"{port}/udp"]}, False),
        ({"publish": ["7000"]}, False),
        ({"expose": ["7000/tcp"]}, True),
        ({"publish": ["1"], "expose": ["7000"]}, True),
    ):
        assert bool(rooms.containers.list(filters=filters)) is listed, filters
    for wrong in ("x", "9-8", "80/foo", "1:2"):
        with pytest.raises(InvalidInput, match=f"error while looking up for publish {wrong}"):
            rooms.containers.list(filters={"publish": [wrong]})
    assert rooms.containers.get(id).networks["bridge"].ip_address != ""
    taken = HostConfig(port_bindings={"1/tcp": (PortHost("127.0.0.1", str(port)),)})
    second = rooms.create("true", host=taken)
    with pytest.raises(Conflict):
        rooms.containers.start(second)
    assert not rooms.networks.joined(second)


@pytest.mark.root
def test_ports_are_published_by_the_network_that_leads_outside(rooms: Rooms) -> None:
    rooms.networks.create("back", NetworkOptions(internal=True))
    rooms.networks.create("front")
    places = NetworkingConfig({"back": EndpointConfig(), "front": EndpointConfig()})
    host = HostConfig(network_mode="back", port_bindings={"7000/tcp": (PortHost("127.0.0.1", ""),)})
    script = "while :; do echo hello | nc -l -p 7000; done"
    id = rooms.create(script, host=host, networking=places, exposed_ports={"7000/tcp": {}})
    rooms.containers.start(id)
    assert served(_host_port(rooms, id)) == b"hello\n"

    rooms.containers.disconnect(id, "front")
    assert rooms.containers.get(id).ports == {"7000/tcp": None}
    rooms.containers.connect(id, "front")
    assert served(_host_port(rooms, id)) == b"hello\n"

    rooms.containers.remove(id, force=True)
    for name in ("back", "front"):
        rooms.networks.remove(name)


def _host_port(rooms: Rooms, id: str) -> int:
    return int((rooms.containers.get(id).ports["7000/tcp"] or ())[0].host_port)


@pytest.mark.root
def test_files_and_addresses(rooms: Rooms) -> None:
    options = NetworkOptions(ipam=Ipam(subnets=(Subnet(subnet="10.213.7.0/24"),)))
    rooms.networks.create("user", options)
    networking = NetworkingConfig({"user": EndpointConfig(ipam=EndpointIpam("10.213.7.9"))})
    host = HostConfig(network_mode="user", dns=("1.2.3.4",), dns_search=("x.y",), extra_hosts=("far:5.6.7.8",))
    script = "cat /etc/hosts /etc/resolv.conf /etc/hostname; ip addr show eth0"
    id = rooms.run(script, host=host, networking=networking, hostname="me")
    text = rooms.output(id)
    for line in (
        "5.6.7.8\tfar",
        "10.213.7.9\tme",
        "nameserver 127.0.0.11",
        ": 1.2.3.4",
        "search x.y",
        "inet 10.213.7.9/24",
    ):
        assert line in text
    rooms.containers.remove(id)
    rooms.networks.remove("user")


@pytest.mark.root
def test_shared_namespaces(rooms: Rooms) -> None:
    first = rooms.run("echo x > /dev/shm/x; sleep 100", host=HostConfig(ipc_mode="shareable"))
    address = rooms.containers.get(first).networks["bridge"].ip_address
    host = HostConfig(network_mode=f"container:{first}", pid_mode=f"container:{first}", ipc_mode=f"container:{first}")
    text = rooms.output(
        rooms.run(
            "until ps | grep 'sleep [1]00'; do :; done; ip addr show eth0; cat /etc/hosts; hostname; ls /dev/shm",
            host=host,
        )
    )
    assert text.count(address) == 2
    assert f"\n{first[:12]}\n" in text
    assert "sleep 100" in text
    assert text.endswith("\nx\n")
    rooms.containers.stop(first, timeout=0)
    late = rooms.create("true", host=host)
    with pytest.raises(Conflict):
        rooms.containers.start(late)


@pytest.mark.root
def test_host_and_none(rooms: Rooms) -> None:
    here = rooms.output(rooms.run("hostname; ls /sys/class/net", host=HostConfig(network_mode="host", uts_mode="host")))
    assert socket.gethostname() in here
    nothing = rooms.output(rooms.run("ip link | grep -c mtu"))
    assert nothing == "1\n"
    assert eventually(lambda: rooms.networks.list())
