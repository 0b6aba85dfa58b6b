"""lamina's daemon with a base image, and each of the clients that talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clients import CLIENTS, Client
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA

BASE = "busybox"


@pytest.fixture(scope="session")
def daemon(busybox_tar: Path) -> Iterator[Daemon]:
    """A daemon as a user would start it, with an image `busybox` of one layer."""
    with lamina_daemon() as daemon:
        Client(tuple(LAMINA), daemon.host, daemon.folder)("import", "-c", 'CMD ["sh"]', str(busybox_tar), BASE)
        yield daemon


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, daemon: Daemon, tmp_path: Path) -> Iterator[Client]:
    """One client. What containers, images and volumes a test leaves are removed, but for the base image."""
    config = tmp_path / "config"
    config.mkdir()
    client = Client(request.param, daemon.host, config)
    yield client
    if found := client.text("ps", "-aq").split():
        client("rm", "-fv", *found)
    names = client.text("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    if made := [name for name in names if "<none>" not in name and name != f"{BASE}:latest"]:
        client("rmi", "-f", *made)
    client("image", "prune", "-f")
    assert client.text("images", "-aq", "--no-trunc") == client.text("images", "-q", "--no-trunc", BASE)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a Dockerfile of the kind the texts show, and what it copies."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        "FROM busybox\n"
        'LABEL maintainer="Ada" stage=test\n'
        "ENV GREETING=hello\n"
        "RUN echo built > /built && echo never > /tmp/x && rm /tmp/x\n"
        "COPY . /app\n"
        "WORKDIR /app\n"
        'CMD ["sh", "-c", "echo $GREETING from $(pwd); cat main.txt"]\n'
    )
    (folder / "main.txt").write_text("the program\n")
    return folder
