"""Names between containers, as people and Compose use them, by every client."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.clients import Client

pytestmark = pytest.mark.root


def looked_up(client: Client, container: str, name: str, *options: str) -> set[str]:
    """The addresses that `nslookup` in a container shows for a name."""
    done = client("exec", container, "nslookup", *options, name, check=False)
    _, _, answer = done.stdout.decode().partition("\n\n")  # behind the server's own address
    return set(re.findall(r"^Address: (\S+)$", answer, re.MULTILINE))


def address_of(client: Client, container: str, network: str) -> str:
    return client.text("inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', container)


def test_containers_of_a_user_network_find_each_other(client: Client) -> None:
    client("network", "create", "mynet")
    client("run", "-d", "--name", "app", "--network", "mynet", "busybox", "sleep", "1000")
    short_id = client.text(
        "run", "-d", "--name", "db", "-h", "dbhost", "--network", "mynet", "--network-alias", "store",
        "busybox", "sh", "-c", "while :; do nc -l -p 5432 -e echo ready; done",
    )[:12]  # fmt: skip
    own = {address_of(client, "db", "mynet")}
    for name in ("db", "DB", "db.mynet", "store", "store.mynet", "dbhost", short_id):
        assert looked_up(client, "app", name) == own, name
    assert client.text("exec", "app", "nc", "db", "5432") == "ready"
    shown = client.text("inspect", "-f", '{{json (index .NetworkSettings.Networks "mynet").DNSNames}}', "db")
    assert shown in (json.dumps(["db", "store", short_id, "dbhost"], separators=(",", ":")), "null"), "API before 1.44"
    assert "db.mynet" in client.text("exec", "app", "nslookup", *own)
    assert client.text("exec", "app", "head", "-n2", "/etc/resolv.conf").splitlines()[0] == "nameserver 127.0.0.11"

    client("rename", "db", "database")
    assert looked_up(client, "app", "database") == own
    assert looked_up(client, "app", "db") == set()
    client("network", "disconnect", "mynet", "database")
    assert looked_up(client, "app", "database") == looked_up(client, "app", "store") == set()
    client("network", "connect", "--alias", "again", "mynet", "database")
    assert looked_up(client, "app", "database") == looked_up(client, "app", "again") != set()
    client("stop", "-t0", "database")
    assert looked_up(client, "app", "database") == set()
    client("start", "database")
    assert looked_up(client, "app", "database") == {address_of(client, "database", "mynet")}
    client("rm", "-f", "app", "database")
    client("network", "rm", "mynet")


def test_an_alias_of_several_containers_spreads_over_them(client: Client) -> None:
    client("network", "create", "replicas")
    client("run", "-d", "--name", "app", "--network", "replicas", "busybox", "sleep", "1000")
    names = [f"db{number}" for number in range(3)]
    for name in names:
        client(
            "run", "-d", "--name", name, "--network", "replicas", "--network-alias", "db", "busybox", "sleep", "1000"
        )
    assert looked_up(client, "app", "db") == {address_of(client, name, "replicas") for name in names}
    client("rm", "-f", "app", *names)
    client("network", "rm", "replicas")


def test_a_link_is_a_name_for_the_container_that_has_it(client: Client) -> None:
    client("network", "create", "linked")
    client("run", "-d", "--name", "db", "--network", "linked", "busybox", "sleep", "1000")
    client("run", "-d", "--name", "app", "--network", "linked", "--link", "db:store", "busybox", "sleep", "1000")
    client("run", "-d", "--name", "guest", "--network", "linked", "busybox", "sleep", "1000")
    assert looked_up(client, "app", "store") == looked_up(client, "guest", "db") == {address_of(client, "db", "linked")}
    assert looked_up(client, "guest", "store") == set()
    assert "store" not in client.text("exec", "app", "cat", "/etc/hosts")
    client("rm", "-f", "app", "guest", "db")
    client("network", "rm", "linked")


def test_a_container_of_the_default_bridge_that_joins_a_user_network_learns_names(client: Client) -> None:
    client("network", "create", "later")
    client("run", "-d", "--name", "app", "busybox", "sleep", "1000")
    client("run", "-d", "--name", "db", "--network", "later", "busybox", "sleep", "1000")
    assert "127.0.0.11" not in client.text("exec", "app", "cat", "/etc/resolv.conf")
    client("network", "connect", "later", "app")
    assert looked_up(client, "app", "db") == {address_of(client, "db", "later")}
    assert looked_up(client, "db", "app") == {address_of(client, "app", "later")}
    assert looked_up(client, "db", "app.bridge") == set()
    client("rm", "-f", "app", "db")
    client("network", "rm", "later")


def test_a_link_of_the_default_bridge(client: Client) -> None:
    client("run", "-d", "--name", "db", "-e", "MODE=fast", "--expose", "5432", "busybox", "sleep", "1000")
    ip = client.text("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "db") or address_of(client, "db", "bridge")
    client("run", "-d", "--name", "app", "--link", "db:store", "busybox", "sleep", "1000")
    variables = client.text("exec", "app", "env").splitlines()
    assert {f"STORE_PORT_5432_TCP_ADDR={ip}", "STORE_NAME=/app/store", "STORE_ENV_MODE=fast"} <= set(variables)
    assert client.text("exec", "app", "ping", "-c1", "store")
    assert client.text("inspect", "-f", "{{.HostConfig.Links}}", "app") == "[/db:/app/store]"
    assert "app/store" in client.text("ps", "--no-trunc", "--filter", "name=db", "--format", "{{.Names}}")
    assert "No such container: nobody" in client.error("create", "--link", "nobody:x", "busybox", "true")
    client("rm", "--link", "/app/store")
    assert "store" not in client.text("exec", "app", "cat", "/etc/hosts")
    assert client.text("inspect", "-f", "{{.HostConfig.Links}}", "app") == "[]"


def test_a_build_in_a_user_network_knows_its_names(client: Client, tmp_path: Path) -> None:
    client("network", "create", "builds")
    client("run", "-d", "--name", "db", "--network", "builds", "busybox", "sleep", "1000")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN nslookup -type=a db > /found\nRUN ping -c1 db.builds\n")
    client("build", "--network", "builds", "-t", "built", str(tmp_path))
    found = client.text("run", "--rm", "--network", "none", "built", "cat", "/found")
    assert found.split()[-1] == address_of(client, "db", "builds")
    client("rm", "-f", "db")
    client("network", "rm", "builds")
