"""Clients that hang up in the middle of a long verb: the daemon stops working for them."""

from __future__ import annotations

import http.client
from collections.abc import Callable

import pytest

from support.api import Http
from support.stalling import StallingRegistry, stalling_registry
from support.tars import tar

Requests = Callable[[http.client.HTTPConnection, StallingRegistry], None]


def pull(connection: http.client.HTTPConnection, registry: StallingRegistry) -> None:
    connection.request("POST", f"/images/create?fromImage={registry.address}/a&tag=1")


def build(connection: http.client.HTTPConnection, registry: StallingRegistry) -> None:
    context = tar({"Dockerfile": f"FROM {registry.address}/a\n".encode()})
    connection.request("POST", "/build", context, {"Content-Type": "application/x-tar"})


def push(connection: http.client.HTTPConnection, registry: StallingRegistry) -> None:
    loading = Http(connection.sock.getpeername())  # a connection of its own, which is answered
    name = f"{registry.address}/pushed"
    assert loading("POST", f"/images/create?fromSrc=-&repo={name}", tar({"data": bytes(1000)})).status == 200
    connection.request("POST", f"/images/{name}/push?tag=latest", headers={"X-Registry-Auth": "e30="})


@pytest.mark.root
@pytest.mark.parametrize("verb", [pull, build, push])
def test_the_daemon_lets_go_of_the_registry(http_: Http, verb: Requests) -> None:
    with stalling_registry() as registry:
        connection = http_.connect()
        verb(connection, registry)
        assert registry.stalled.wait(30)
        assert not registry.left.is_set()
        connection.close()
        assert registry.left.wait(10)
