"""`--link` on the default bridge: names in /etc/hosts, Docker's environment variables, and names of the links."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.api.containers import ExecConfig, HostConfig
from lamina.errors import Conflict, InvalidInput, NotFound
from lamina.sandbox.spec import parse_link
from support.waiting import eventually

from .conftest import Rooms

pytestmark = pytest.mark.root


def linking(*links: str, mode: str = "bridge") -> HostConfig:
    return HostConfig(network_mode=mode, links=links)


@pytest.fixture
def db(rooms: Rooms) -> str:
    """A container `db` with ports, one of them alone, and a variable."""
    published = ("5432/tcp", "5434/tcp", "5433/tcp", "80/tcp", "53/udp")
    return rooms.run(
        "sleep 100",
        name="db",
        host=HostConfig(),
        env=("MODE=fast", "HOME=/x"),
        exposed_ports={port: {} for port in published},
    )


def address(rooms: Rooms, id: str) -> str:
    return rooms.containers.get(id).networks["bridge"].ip_address


def test_links_give_names_and_variables(rooms: Rooms, db: str) -> None:
    ip = address(rooms, db)
    id = rooms.run("env; echo --; cat /etc/hosts", name="app", host=linking("db:my-db"))
    variables, _, hosts = rooms.output(id).partition("--\n")
    assert f"{ip}\tmy-db {db[:12]} db\n" in hosts
    assert {line for line in variables.splitlines() if line.startswith("MY_DB")} == {
        f"MY_DB_PORT=tcp://{ip}:80",
        *(
            line
            for number, protocol in ((80, "tcp"), (5432, "tcp"), (5433, "tcp"), (5434, "tcp"), (53, "udp"))
            for line in (
                f"MY_DB_PORT_{number}_{protocol.upper()}={protocol}://{ip}:{number}",
                f"MY_DB_PORT_{number}_{protocol.upper()}_ADDR={ip}",
                f"MY_DB_PORT_{number}_{protocol.upper()}_PORT={number}",
                f"MY_DB_PORT_{number}_{protocol.upper()}_PROTO={protocol}",
            )
        ),
        f"MY_DB_PORT_5432_TCP_START=tcp://{ip}:5432",
        "MY_DB_PORT_5432_TCP_PORT_START=5432",
        f"MY_DB_PORT_5432_TCP_END=tcp://{ip}:5434",
        "MY_DB_PORT_5432_TCP_PORT_END=5434",
        "MY_DB_NAME=/app/my-db",
        "MY_DB_ENV_MODE=fast",
    }


def test_variables_of_links_give_way_to_the_containers_own_and_reach_execs(rooms: Rooms, db: str) -> None:
    id = rooms.run("sleep 100", host=linking("db:db"), env=("DB_NAME=mine",))
    exec_id = rooms.containers.exec_create(id, ExecConfig(cmd=("sh", "-c", 'echo "$DB_NAME $DB_ENV_MODE" > /shown')))
    rooms.containers.exec_start(exec_id)
    shown = Path(f"/proc/{rooms.containers.get(id).state.pid}/root/shown")
    assert eventually(lambda: shown.exists() and shown.read_text()) == "mine fast\n"


def test_a_link_is_a_further_name_of_its_target_and_follows_renames(rooms: Rooms, db: str) -> None:
    id = rooms.create("true", name="app", host=linking("db:store", f"{db[:12]}:again", "db:store"))
    assert rooms.containers.get(id).links == ("/db:/app/store", "/db:/app/again")
    names = {item.id: item.link_names for item in rooms.containers.list(all=True)}
    assert names == {db: ("/app/store", "/app/again"), id: ()}
    rooms.containers.rename("db", "database")
    rooms.containers.rename("app", "web")
    assert rooms.containers.get(id).links == ("/database:/web/store", "/database:/web/again")
    rooms.containers.start(id)
    rooms.containers.remove(db, force=True)
    assert rooms.containers.get(id).links == ()


def test_a_link_may_be_removed(rooms: Rooms, db: str) -> None:
    id = rooms.run("sleep 100", name="app", host=linking("db:store", "db:other"))
    hosts = rooms.containers.get(id).directory / "hosts"
    assert "store" in hosts.read_text()
    assert rooms.containers.get("/app/store").id == rooms.containers.get("app/other").id == db
    rooms.containers.remove("/app/store", link=True)
    with pytest.raises(NotFound, match="No such container: app/store"):
        rooms.containers.get("app/store")
    assert rooms.containers.get(id).links == ("/db:/app/other",)
    assert "store" not in hosts.read_text()
    assert "other" in hosts.read_text()
    for name in ("app/store", "app/nothing", "nobody/store"):
        with pytest.raises(NotFound):
            rooms.containers.remove(name, link=True)
    with pytest.raises(Conflict, match="cannot remove the default link name"):
        rooms.containers.remove("db", link=True)
    assert rooms.containers.get("db").running


def test_links_that_cannot_be(rooms: Rooms, db: str) -> None:
    with pytest.raises(InvalidInput, match="could not get container for nobody: No such container: nobody"):
        rooms.create("true", host=linking("nobody:x"))
    for link in ("", ":x", "db:x:y"):
        with pytest.raises(InvalidInput, match="links"):
            rooms.create("true", host=linking(link))
    rooms.create("true", name="hosts", host=HostConfig(network_mode="host"))
    with pytest.raises(InvalidInput, match="host type networking"):
        rooms.create("true", host=linking("hosts:x"))
    rooms.create("true", name="sharing", host=HostConfig(network_mode="container:db"))
    shared = rooms.create("true", name="app", host=linking("sharing:x"))
    assert rooms.containers.get(shared).links == ("/db:/app/x",)
    rooms.containers.stop("db", timeout=0)
    with pytest.raises(InvalidInput, match="Cannot link to a non running container: /db AS /app/x"):
        rooms.containers.start(shared)


def test_in_user_networks_links_are_names(rooms: Rooms, db: str) -> None:
    rooms.networks.create("user")
    id = rooms.run("cat /etc/hosts; env", host=linking("nobody:x", "db:store", mode="user"))
    text = rooms.output(id)
    assert "store" not in text.lower()
    assert rooms.containers.get(id).links == ()
    rooms.containers.remove(id)
    rooms.networks.remove("user")


def test_how_links_are_written() -> None:
    assert parse_link("db:store") == ("db", "store")
    assert parse_link("db") == ("db", "db")
    assert parse_link("/db:/app/store") == ("db", "store")
