"""What is left when the daemon dies, and what the next one makes of it."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from lamina.errors import InvalidInput
from lamina.network.abandoned_tables import swept
from lamina.network.bridges import Unsettled
from lamina.network.default_bridge import bridge_name
from lamina.network.forwarding import GUARD
from lamina.network.model import EndpointOptions, PortBinding
from lamina.network.networks import Networks
from lamina.network.nft import LibraryNft
from lamina.network.settings import NetworkSettings
from lamina.store.store import Store
from network.talk import ask, echo_server

pytestmark = pytest.mark.root


def _tables() -> list[str]:
    """The tables there are, without the guard over a forwarding host, which outlives engines."""
    text = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if line != f"table inet {GUARD}"]


def _links() -> str:
    return subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout


def _die(networks: Networks) -> None:
    """What the kernel does to a daemon that is killed: descriptors are closed, nothing else is."""
    networks._release()


def test_a_clean_stop_leaves_nothing(machine: None, store: Store, exec_root: Path) -> None:
    networks = Networks.open(store, exec_root)
    networks.create("mine")
    networks.join("one", "bridge")
    networks.leave("one")

    networks.close()
    networks.close()

    assert _tables() == []
    assert "lam" not in _links()
    assert "br-" not in _links()


def test_a_running_container_keeps_its_network_over_restarts(machine: None, store: Store, exec_root: Path) -> None:
    networks = Networks.open(store, exec_root)
    ports = (PortBinding(container_port=80),)
    endpoint = networks.join("one", "bridge", EndpointOptions(ports=ports))
    with echo_server(networks.sandbox("one"), endpoint.ip, 80):
        networks.close()
        assert ask("127.0.0.1", endpoint.ports[0].host_port) == endpoint.ip

        again = Networks.open(store, exec_root)
        assert again.joined("one") == [endpoint]
        assert ask("127.0.0.1", endpoint.ports[0].host_port) == endpoint.ip
        assert ask("::1", endpoint.ports[0].host_port) == endpoint.ip
        assert again.join("two", "bridge").ip != endpoint.ip
    again.leave("one")
    again.leave("two")
    again.close()


def test_sandboxes_that_died_with_the_daemon_are_swept(machine: None, store: Store, exec_root: Path) -> None:
    networks = Networks.open(store, exec_root)
    networks.join("dead", "bridge")
    networks.join("live", "bridge")
    _die(networks)

    again = Networks.open(store, exec_root)
    again.sweep(["live"])

    assert again.joined("dead") == []
    assert again.joined("live")
    assert not (exec_root / "netns/dead").exists()
    again.leave("live")
    again.close()
    assert "veth" not in _links()


def test_interfaces_nobody_knows_are_removed_from_our_bridges(machine: None, store: Store, exec_root: Path) -> None:
    networks = Networks.open(store, exec_root)
    bridge = bridge_name(exec_root)
    subprocess.run(["ip", "link", "add", "stray0", "type", "veth", "peer", "name", "stray1"], check=True)
    subprocess.run(["ip", "link", "set", "stray0", "master", bridge], check=True)
    _die(networks)

    again = Networks.open(store, exec_root)

    assert "stray" not in _links()
    again.close()


def test_two_daemons_live_side_by_side(machine: None, store: Store, exec_root: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "other") as other_store:
        first, second = Networks.open(store, exec_root), Networks.open(other_store, tmp_path / "other-exec")
        one = first.join("one", "bridge", EndpointOptions(ports=(PortBinding(container_port=80),)))
        two = second.join("two", "bridge", EndpointOptions(ports=(PortBinding(container_port=80),)))
        with echo_server(first.sandbox("one"), one.ip, 80), echo_server(second.sandbox("two"), two.ip, 80):
            assert ask("127.0.0.1", one.ports[0].host_port) == one.ip
            assert ask("127.0.0.1", two.ports[0].host_port) == two.ip
        second.leave("two")
        second.close()
        with echo_server(first.sandbox("one"), one.ip, 80):
            assert ask("127.0.0.1", one.ports[0].host_port) == one.ip
        first.leave("one")
        first.close()


def test_bip_moves_the_default_bridge(machine: None, store: Store, exec_root: Path) -> None:
    Networks.open(store, exec_root).close()

    networks = Networks.open(store, exec_root, NetworkSettings(bip="10.99.0.5/24"))

    endpoint = networks.join("one", "bridge")
    assert (endpoint.gateway, endpoint.prefix) == ("10.99.0.5", 24)
    assert endpoint.ip.startswith("10.99.0.")
    networks.leave("one")
    networks.close()


def test_a_bridge_that_was_being_made_goes_and_others_stay(machine: None, store: Store, exec_root: Path) -> None:
    """The engine died when the interface was there and no record of the network yet, or no more."""
    networks = Networks.open(store, exec_root)
    kept, half = networks.create("kept"), networks.create("half")
    subprocess.run(["ip", "link", "add", "foreign", "type", "bridge"], check=True)
    _die(networks)
    with store.transaction() as change:
        assert change.delete("networks", half.id)
    unsettled = Unsettled(exec_root / "bridges")
    with ExitStack() as dying:
        for bridge in (kept.bridge, half.bridge):
            dying.enter_context(unsettled.noted(bridge))
        again = Networks.open(store, exec_root)
    assert half.bridge not in _links()
    assert kept.bridge in _links()
    assert "foreign" in _links()
    assert list((exec_root / "bridges").iterdir()) == []
    again.close()


def test_a_bridge_of_the_hosts_own_is_taken_with_its_addresses(machine: None, store: Store, exec_root: Path) -> None:
    subprocess.run(["ip", "link", "add", "own0", "type", "bridge"], check=True)
    for address in ("10.88.0.1/24", "fd88::1/64"):
        subprocess.run(["ip", "addr", "add", address, "dev", "own0"], check=True)

    networks = Networks.open(store, exec_root, NetworkSettings(bridge="own0", ipv6=True))

    endpoint = networks.join("one", "bridge")
    assert (endpoint.gateway, endpoint.ip, endpoint.ipv6_gateway) == ("10.88.0.1", "10.88.0.2", "fd88::1")
    assert networks.host_gateways("one") == ("10.88.0.1", "fd88::1")
    networks.leave("one")
    networks.close()
    assert "own0" in _links()


def test_a_bridge_that_is_not_there_stops_the_start(machine: None, store: Store, exec_root: Path) -> None:
    with pytest.raises(InvalidInput, match="bridge device with non default name gone0 must be created manually"):
        Networks.open(store, exec_root, NetworkSettings(bridge="gone0"))


def test_there_may_be_no_default_network(machine: None, store: Store, exec_root: Path) -> None:
    Networks.open(store, exec_root).close()

    networks = Networks.open(store, exec_root, NetworkSettings(bridge="none"))

    assert [network.name for network in networks.list()] == ["host", "none"]
    assert networks.join("one", "bridge").ip == ""
    assert networks.joined("one") == []
    with pytest.raises(InvalidInput, match="unable to derive the IP value for host-gateway"):
        networks.host_gateways("one")
    networks.leave("one")
    networks.close()


def test_endpoints_of_an_engine_without_ipv6_keep_their_ports(machine: None, store: Store, exec_root: Path) -> None:
    """It wrote neither where ports lead nor what was asked for."""
    networks = Networks.open(store, exec_root)
    endpoint = networks.join("one", "bridge", EndpointOptions(ports=(PortBinding(container_port=80),)))
    _die(networks)
    path = exec_root / "endpoints" / endpoint.id
    kept = json.loads(path.read_bytes())
    fields = "id sandbox_id network_id network interface host_interface ip prefix gateway mac aliases requested_ip"
    port = {"container_port": 80, "proto": "tcp", "host_ip": "", "host_port": endpoint.ports[0].host_port}
    old = {name: kept[name] for name in fields.split() if name in kept}
    path.write_text(json.dumps({**old, "ports": [{**port, "host_port_end": 0}]}))

    again = Networks.open(store, exec_root)
    with echo_server(again.sandbox("one"), endpoint.ip, 80):
        assert ask("127.0.0.1", endpoint.ports[0].host_port) == endpoint.ip
        assert ask("::1", endpoint.ports[0].host_port) == endpoint.ip
    again.leave("one")
    again.close()


def test_tables_whose_bridges_are_gone_are_swept_and_no_others(
    machine: None, store: Store, exec_root: Path, tmp_path: Path
) -> None:
    def others(*names: str) -> None:
        for name in names:
            bridge = name.removeprefix("lamina-")
            rules = f'table inet {name} {{\n set bridges {{ type ifname; elements = {{ "{bridge}" }}; }}\n}}'
            subprocess.run(["nft", rules], check=True)

    others("lamina-gone", "lamina-here", "strangers")
    subprocess.run(["ip", "link", "add", "here", "type", "bridge"], check=True)
    with Store.open(tmp_path / "beside") as beside:
        first = Networks.open(beside, tmp_path / "first")  # another engine, which lives
        networks = Networks.open(store, exec_root)
        tables = {line.removeprefix("table inet ") for line in _tables()}
        own = {f"lamina-{bridge_name(root)}" for root in (exec_root, tmp_path / "first")}
        assert tables == {"lamina-here", "strangers", *own}
        networks.close()
        first.close()
    for name in ("lamina-here", "strangers"):
        subprocess.run(["nft", f"delete table inet {name}"], check=True)


def test_a_table_may_go_while_it_is_looked_at(machine: None) -> None:
    """Its engine closes just then."""
    rules = 'table inet lamina-going {\n set bridges { type ifname; elements = { "going" }; }\n}'
    subprocess.run(["nft", rules], check=True)

    class Closing(LibraryNft):
        def run(self, commands: str) -> str:
            output = super().run(commands)
            if commands.startswith("list set inet lamina-going"):
                super().run("delete table inet lamina-going\n")
            return output

    nft = Closing()
    with swept(nft, "lamina-own"):
        assert _tables() == []
    nft.close()
