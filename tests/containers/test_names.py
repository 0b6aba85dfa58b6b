"""Names in containers of each runtime, and in containers that share another's network."""

from __future__ import annotations

import pytest

from lamina.api.containers import EndpointConfig, HostConfig, NetworkingConfig
from lamina.api.networks import NetworkOptions

from .conftest import Rooms

pytestmark = pytest.mark.root


@pytest.fixture(params=["crun", "runc"])
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def networked(rooms: Rooms) -> Rooms:
    """Rooms with a network `user`, and a container `db` in it that is also called `store`."""
    rooms.networks.create("user")
    place = NetworkingConfig({"user": EndpointConfig(aliases=("store",))})
    rooms.run("sleep 1000", name="db", host=HostConfig(network_mode="user"), networking=place)
    return rooms


def address(rooms: Rooms, id: str, network: str = "user") -> str:
    return rooms.containers.get(id).networks[network].ip_address


def test_names_in_a_container(networked: Rooms) -> None:
    host = HostConfig(network_mode="user", dns_options=("timeout:1",))
    text = networked.output(networked.run("cat /etc/resolv.conf; nslookup -type=a store; ping -c1 db", host=host))
    assert "nameserver 127.0.0.11\noptions timeout:1 ndots:0\n" in text
    assert f"64 bytes from {address(networked, 'db')}" in text
    assert f"Name:\tstore\nAddress: {address(networked, 'db')}" in text


def test_a_container_that_shares_another_ones_network_shares_its_names(networked: Rooms) -> None:
    donor = networked.run("sleep 1000", name="donor", host=HostConfig(network_mode="user"))
    host = HostConfig(network_mode=f"container:{donor}")
    text = networked.output(networked.run("nslookup -type=a store; nslookup -type=a donor", host=host))
    assert f"Address: {address(networked, 'db')}" in text
    assert f"Address: {address(networked, donor)}" in text


def test_names_of_the_host_stay_in_etc_hosts(networked: Rooms) -> None:
    host = HostConfig(network_mode="user", extra_hosts=("host.docker.internal:host-gateway",))
    text = networked.output(networked.run("cat /etc/hosts; ping -c1 host.docker.internal", host=host))
    gateway = networked.networks.joined(networked.containers.get("db").id)[0].gateway
    assert f"{gateway}\thost.docker.internal\n" in text
    assert f"64 bytes from {gateway}" in text


def test_a_container_of_an_internal_network_reaches_no_servers_of_the_host(networked: Rooms) -> None:
    networked.networks.create("shut", NetworkOptions(internal=True))
    host = HostConfig(network_mode="shut")
    inside = networked.run("sleep 1000", name="inside", host=host)
    text = networked.output(networked.run("nslookup -type=a inside; nslookup -type=a example.org", host=host))
    assert f"Address: {address(networked, inside, 'shut')}" in text
    assert "SERVFAIL" in text
    networked.containers.remove(inside, force=True)


def test_a_read_only_container_and_one_of_another_user_have_names(networked: Rooms) -> None:
    read_only = HostConfig(network_mode="user", readonly_rootfs=True)
    for host, user in ((read_only, ""), (HostConfig(network_mode="user"), "1000")):
        text = networked.output(networked.run("nslookup -type=a store", host=host, user=user))
        assert f"Address: {address(networked, 'db')}" in text
