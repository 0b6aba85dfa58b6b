"""A container's places in networks: what may be asked of them, and what it comes to."""

from __future__ import annotations

import pytest

from lamina.api.containers import EndpointConfig, EndpointIpam, HostConfig, NetworkingConfig, PortHost
from lamina.api.networks import Ipam, NetworkOptions, Subnet
from lamina.containers.endpoints import check_endpoint
from lamina.errors import Conflict, InvalidInput
from support.waiting import eventually

from .conftest import Rooms

_IFNAME = "com.docker.network.endpoint.ifname"
_SYSCTLS = "com.docker.network.endpoint.sysctls"


@pytest.mark.parametrize(
    ("network", "endpoint", "sentence"),
    [
        ("mine", EndpointConfig(mac_address="zz"), "address zz: invalid MAC address"),
        ("mine", EndpointConfig(ipam=EndpointIpam(ipv4_address="fd00::1")), "invalid IPv4 address: fd00::1"),
        ("mine", EndpointConfig(ipam=EndpointIpam(ipv6_address="::")), "invalid IPv6 address: ::"),
        ("mine", EndpointConfig(ipam=EndpointIpam(ipv6_address="fe80::1%eth0")), "invalid IPv6 address: fe80::1%eth0"),
        ("mine", EndpointConfig(ipam=EndpointIpam(link_local_ips=("x",))), "invalid link-local IP address: x"),
        ("mine", EndpointConfig(driver_opts={_IFNAME: "a/b"}), "invalid interface name: a/b"),
        ("mine", EndpointConfig(driver_opts={_SYSCTLS: "net.ipv4.conf.eth0.x=1"}), "unrecognised network interface"),
        ("mine", EndpointConfig(driver_opts={_SYSCTLS: "net.ipv4.IFNAME/../x=1"}), "unrecognised network interface"),
        ("bridge", EndpointConfig(ipam=EndpointIpam(ipv4_address="10.0.0.1")), "supported on user defined networks"),
        ("bridge", EndpointConfig(aliases=("db",)), "only supported for user-defined networks"),
    ],
)
def test_what_no_endpoint_can_have_is_refused(network: str, endpoint: EndpointConfig, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_endpoint(network, endpoint)
    assert sentence in refusal.value.message


@pytest.mark.root
def test_a_request_is_refused_before_anything_is_made(rooms: Rooms) -> None:
    with pytest.raises(InvalidInput, match="invalid MAC address"):
        rooms.create("true", host=HostConfig(network_mode="bridge"), mac_address="zz")
    assert rooms.containers.list(all=True) == []


@pytest.mark.root
def test_a_network_named_by_its_id_is_known_by_its_name(rooms: Rooms) -> None:
    network = rooms.networks.create("user", NetworkOptions(ipam=Ipam(subnets=(Subnet(subnet="10.213.7.0/24"),))))
    for reference in (network.id, network.id[:12]):
        asked = EndpointConfig(ipam=EndpointIpam("10.213.7.9"))
        networking = NetworkingConfig({reference: asked})
        id = rooms.run("sleep 100", host=HostConfig(network_mode=reference), networking=networking)

        (place,) = rooms.containers.get(id).networks.values()
        assert (place.name, place.ip_address, place.network_id) == ("user", "10.213.7.9", network.id)
        rooms.containers.disconnect(id, "user")
        assert not rooms.containers.get(id).networks
        rooms.containers.remove(id, force=True)
    rooms.networks.remove("user")


def _logged(rooms: Rooms, id: str) -> str:
    return "".join(record.data.decode() for record in rooms.containers.logs(id))


@pytest.mark.root
def test_an_endpoint_is_as_it_was_asked_for(rooms: Rooms) -> None:
    subnets = (Subnet(subnet="10.213.7.0/24"), Subnet(subnet="fd07::/64"))
    rooms.networks.create("user", NetworkOptions(enable_ipv6=True, ipam=Ipam(subnets=subnets)))
    endpoint = EndpointConfig(
        ipam=EndpointIpam("10.213.7.9", "fd07::9", ("169.254.7.9",)),
        mac_address="02-00-00-00-00-07",
        driver_opts={_IFNAME: "lan0", _SYSCTLS: "net.ipv4.conf.IFNAME.log_martians=1"},
    )
    script = "ip addr show lan0; cat /etc/hosts /proc/sys/net/ipv4/conf/lan0/log_martians; ip -6 route; sleep 100"
    id = rooms.run(
        script, host=HostConfig(network_mode="user"), networking=NetworkingConfig({"user": endpoint}), hostname="me"
    )
    eventually(lambda: "default via" in _logged(rooms, id))
    text = _logged(rooms, id)
    for part in (
        "02:00:00:00:00:07",
        "10.213.7.9/24",
        "fd07::9/64",
        "169.254.7.9/32",
        "10.213.7.9\tme",
        "fd07::9\tme",
        "\n1\n",
        "default via fd07::1 dev lan0",
    ):
        assert part in text
    place = rooms.containers.get(id).networks["user"]
    assert (place.ipv6_address, place.ipv6_gateway) == ("fd07::9", "fd07::1")
    rooms.containers.remove(id, force=True)
    rooms.networks.remove("user")


@pytest.mark.root
def test_a_running_container_connects_and_disconnects(rooms: Rooms) -> None:
    rooms.networks.create("six", NetworkOptions(enable_ipv4=False, enable_ipv6=True))
    host = HostConfig(network_mode="bridge", port_bindings={"80/tcp": (PortHost("", ""),)})
    id = rooms.run("sleep 100", host=host)
    before = rooms.containers.get(id).ports

    rooms.containers.connect(id, "six")
    hosts = (rooms.containers.get(id).directory / "hosts").read_text()
    address = rooms.containers.get(id).networks["six"].ipv6_address
    assert f"{address}\t{id[:12]}" in hosts
    assert {place.host_ip for place in rooms.containers.get(id).ports["80/tcp"] or ()} == {"0.0.0.0", "::"}

    rooms.containers.disconnect(id, "six")
    assert address not in (rooms.containers.get(id).directory / "hosts").read_text()
    assert before.keys() == rooms.containers.get(id).ports.keys()
    rooms.containers.remove(id, force=True)
    rooms.networks.remove("six")


@pytest.mark.root
def test_a_port_that_is_taken_is_named_by_the_failed_start(rooms: Rooms) -> None:
    first = rooms.run("sleep 100", host=HostConfig(port_bindings={"80/tcp": (PortHost("127.0.0.1", ""),)}))
    port = (rooms.containers.get(first).ports["80/tcp"] or ())[0].host_port
    second = rooms.create("true", host=HostConfig(port_bindings={"80/tcp": (PortHost("127.0.0.1", port),)}))

    with pytest.raises(Conflict) as failure:
        rooms.containers.start(second)

    words = "failed to set up container networking: driver failed programming external connectivity on endpoint"
    assert failure.value.message.startswith(words)
    assert failure.value.message.endswith(f"Bind for 127.0.0.1:{port} failed: port is already allocated")


@pytest.mark.root
def test_networks_that_exclude_each_other(rooms: Rooms) -> None:
    rooms.networks.create("user")
    alone = rooms.create("true", host=HostConfig(network_mode="none"))
    shared = rooms.create("true", host=HostConfig(network_mode="host"))
    usual = rooms.create("true", host=HostConfig(network_mode="bridge"))
    for id, network, sentence in (
        (alone, "user", "networks in private .none. mode"),
        (shared, "user", "cannot be connected to any other network"),
        (usual, "host", "must be created in host network mode"),
        (usual, "none", "networks in private .none. mode"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            rooms.containers.connect(id, network)
    with pytest.raises(InvalidInput, match="was created in host network mode"):
        rooms.containers.disconnect(shared, "host")
    rooms.networks.remove("user")


@pytest.mark.root
def test_a_container_may_have_no_network_at_all(rooms: Rooms) -> None:
    id = rooms.run("ip link | grep -c mtu", host=HostConfig(network_mode="bridge"), network_disabled=True)

    assert rooms.output(id) == "1\n"


@pytest.mark.root
@pytest.mark.parametrize("way", ["sandbox", "interface"])
def test_a_container_that_switches_ipv6_off_has_none(rooms: Rooms, way: str) -> None:
    rooms.networks.create("user", NetworkOptions(enable_ipv6=True))
    sysctls = {"net.ipv6.conf.all.disable_ipv6": "1"} if way == "sandbox" else {}
    endpoint = EndpointConfig(driver_opts={} if sysctls else {_SYSCTLS: "net.ipv6.conf.IFNAME.disable_ipv6=1"})
    host = HostConfig(network_mode="user", sysctls=sysctls)
    script = "ip -6 addr show dev eth0; cat /etc/hosts; sleep 100"
    id = rooms.run(script, host=host, networking=NetworkingConfig({"user": endpoint}))

    place = rooms.containers.get(id).networks["user"]
    assert (place.ipv6_address, place.ipv6_gateway) == ("", "")
    assert eventually(lambda: place.ip_address in _logged(rooms, id))
    assert ("::1\tlocalhost" in _logged(rooms, id)) == (way == "interface")
    assert "inet6" not in _logged(rooms, id)
    rooms.containers.remove(id, force=True)
    rooms.networks.remove("user")
