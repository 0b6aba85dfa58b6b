"""Fixtures of the registry's tests and its clients': running registries, a store each, and clients for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from lamina.distribution import RegistryClient
from lamina.registry.config import parse
from lamina.store.store import Store
from support.postgres import PostgresServer
from support.registries import Raw, Running, Start, patient
from support.seaweed import SeaweedServer


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts registries; keyword arguments are settings. All are stopped when the test ends."""
    with ExitStack() as running:
        count = 0

        def start_one(**settings: object) -> Running:
            nonlocal count
            count += 1
            defaults: dict[str, object] = {"listen": "127.0.0.1:0", "root": tmp_path / f"registry{count}"}
            named = {name.replace("_", "-"): value for name, value in (defaults | settings).items()}
            one = Running(parse(named, "the test"))
            running.callback(one.stop)
            return one

        yield start_one


@pytest.fixture
def registry(start: Start) -> Running:
    return start()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as store:
        yield store


@pytest.fixture
def other_store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "other-store") as store:
        yield store


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with RegistryClient(patient()) as client:
        yield client


@pytest.fixture
def raw(registry: Running) -> Iterator[Raw]:
    with closing(Raw(registry.address)) as raw:
        yield raw


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server of our own on loopback: its URL without a database."""
    with PostgresServer() as server:
        yield server.url


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """A fresh database."""
    return fresh_database(postgres_server)


def fresh_database(server: str) -> str:
    """Make a database in a server, and return its URL."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{server}/{name}"


@pytest.fixture(scope="session")
def seaweed() -> Iterator[SeaweedServer]:
    """An S3 server of our own on loopback."""
    with SeaweedServer() as server:
        yield server


@pytest.fixture
def bucket(seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a bucket nobody uses, for this process and those it starts to get in."""
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture(params=["files", pytest.param("objects", marks=pytest.mark.peer)])
def anywhere(request: pytest.FixtureRequest, start: Start) -> Start:
    """As `start`, on SQLite with files, and on PostgreSQL with S3."""
    if request.param == "files":
        return start
    seaweed: SeaweedServer = request.getfixturevalue("seaweed")
    postgres_server: str = request.getfixturevalue("postgres_server")
    request.getfixturevalue("bucket")

    def start_one(**settings: object) -> Running:
        bucket = f"test-{uuid.uuid4().hex}"
        return start(root=None, storage=seaweed.url(bucket), database=fresh_database(postgres_server), **settings)

    return start_one
